"""Noise on the regions of key objects, and nowhere else."""

from dataclasses import replace
from pathlib import Path

from dog_pairs import BALL, DOG, changed, image_of
from PIL import Image

from baselines.types import Pair, Region
from baselines.view_tools.hit_rate import hit_rate
from baselines.view_tools.regions import Grounded, Grounder, box_mask
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant


def test_only_the_regions_of_key_objects_are_noised(dog_pairs: list[Pair], language_tools: Tools):
    variant = make_variant("region_noised", dog_pairs[0], 0, language_tools)
    inside = box_mask((140, 100), [DOG, BALL])
    assert not changed(dog_pairs[0], image_of(variant))[~inside].any()
    assert changed(dog_pairs[0], image_of(variant))[inside].mean() > 0.95
    assert variant.notes["hit"] == ["dog", "ball"]
    assert variant.notes["regions"] == "data"


def test_an_image_without_regions_is_noised_all_over_and_counted(dog_pairs: list[Pair], language_tools: Tools):
    variants = [make_variant("region_noised", pair, 0, language_tools) for pair in dog_pairs]
    assert changed(dog_pairs[2], image_of(variants[2])).mean() > 0.95
    assert (
        str(hit_rate(variant.notes for variant in variants))
        == "4 of 9 keywords found (44%); 1 of 3 images noised all over"
    )
    assert hit_rate([{}]) is None


def test_a_grounder_is_used_where_no_box_fits(dog_pairs: list[Pair], language_tools: Tools, tmp_path: Path):
    calls = []

    def find(image: Image.Image, names):
        calls.append(names)
        region = Region("grass", (0, 80, 140, 100))
        return {"grass": Grounded((region,), box_mask(image.size, [region]))}

    tools = replace(language_tools, grounder=Grounder("test", find), cache=tmp_path)
    assert make_variant("region_noised", dog_pairs[0], 0, tools).notes["regions"] == "data"
    assert not calls
    variant = make_variant("region_noised", dog_pairs[2], 0, tools)
    assert variant.notes["hit"] == ["grass"]
    assert not changed(dog_pairs[2], image_of(variant))[:80].any()
    again = make_variant("region_noised", dog_pairs[2], 0, tools)
    assert len(calls) == 1, "the second one comes from the cache"
    assert (again.notes, image_of(again).tobytes()) == (variant.notes, image_of(variant).tobytes())
    make_variant("region_noised", dog_pairs[2], 1, tools)
    make_variant("region_noised", dog_pairs[2], 1, replace(tools, grounder=Grounder("other", find)))
    assert len(calls) == 3, "seed and model are part of the key"
