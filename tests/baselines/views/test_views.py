"""What holds for all views: one shape, and the same variant in any order and process."""

from dataclasses import replace
from pathlib import Path

import pytest
from dog_pairs import hash_of_view, image_of
from old_set import VIEW_HASHES, write_old_set

from baselines.pairs.content_hashes import image_hash
from baselines.pairs.preferences import read_pairs
from baselines.types import Pair
from baselines.view_tools.tools import Tools, open_view
from baselines.view_tools.variants import make_variant
from halbench import plugins
from halbench.scoring_tools.language import Language

WITHOUT_LANGUAGE = (
    *("chosen", "rejected", "blank", "cropped", "globally_noised", "other_image"),
    *("random_region_noised", "rejected_images"),
)
DRAWN = ("cropped", "globally_noised", "random_region_noised")


def check_that_order_does_not_matter(view: str, pairs: list[Pair], tools: Tools) -> None:
    forwards = [make_variant(view, pair, 3, tools) for pair in pairs]
    backwards = [make_variant(view, pair, 3, tools) for pair in reversed(pairs)]
    for one, other in zip(forwards, reversed(backwards), strict=True):
        assert (one.prompt, one.answer, one.notes) == (other.prompt, other.answer, other.notes)
        assert (one.images is None) == (other.images is None)
        assert [image.tobytes() for image in one.images or ()] == [image.tobytes() for image in other.images or ()]


@pytest.mark.parametrize("view", WITHOUT_LANGUAGE)
def test_a_variant_depends_on_pair_and_seed_alone(view: str, dog_pairs: list[Pair], tools: Tools):
    check_that_order_does_not_matter(view, with_rejected_images(dog_pairs), tools)


def test_noise_on_regions_depends_on_pair_and_seed_alone(dog_pairs: list[Pair], language_tools: Tools):
    check_that_order_does_not_matter("region_noised", dog_pairs, language_tools)


def with_rejected_images(pairs: list[Pair]) -> list[Pair]:
    """Each pair with the next one's image as a rejected one."""
    return [replace(pair, rejected_images=pairs[index - 1].images) for index, pair in enumerate(pairs)]


@pytest.mark.parametrize("view", DRAWN)
def test_the_seed_and_the_pair_decide_what_is_drawn(view: str, dog_pairs: list[Pair], tools: Tools):
    check_what_is_drawn(view, dog_pairs, tools)


def test_the_seed_and_the_pair_decide_the_noise_on_regions(dog_pairs: list[Pair], language_tools: Tools):
    check_what_is_drawn("region_noised", dog_pairs, language_tools)


def check_what_is_drawn(view: str, dog_pairs: list[Pair], tools: Tools) -> None:
    assert hash_of_view(view, dog_pairs, 0, tools) == hash_of_view(view, dog_pairs, 0, tools)
    assert hash_of_view(view, dog_pairs, 0, tools) != hash_of_view(view, dog_pairs, 1, tools)
    assert hash_of_view(view, dog_pairs, 0, tools) != hash_of_view(view, dog_pairs[:2], 0, tools)
    twin = replace(dog_pairs[0], id="twin")
    first, second = (image_of(make_variant(view, pair, 0, tools)) for pair in (dog_pairs[0], twin))
    assert image_hash(first) != image_hash(second)


def test_every_view_is_a_module_of_the_same_shape():
    names = plugins.names("baselines.views")
    assert sorted([*WITHOUT_LANGUAGE, "region_noised", "adversarial", "mined_rejected"]) == names
    for name in names:
        module = open_view(name)
        assert module.VERSION
        assert {*module.NEEDS, *getattr(module, "USES", ())} <= set(Tools.__dataclass_fields__)


def test_views_of_pairs_with_one_image_show_what_earlier_releases_showed(tmp_path: Path):
    pairs = list(read_pairs(write_old_set(tmp_path)).pairs)
    views = [view for view in VIEW_HASHES if view != "region_noised"]
    assert {view: hash_of_view(view, pairs, 0, Tools(pairs=pairs)) for view in views} == {
        view: VIEW_HASHES[view] for view in views
    }


def test_noise_on_regions_is_that_of_earlier_releases(tmp_path: Path, language: Language):
    pairs = list(read_pairs(write_old_set(tmp_path)).pairs)
    tools = Tools(pairs=pairs, language=language)
    assert hash_of_view("region_noised", pairs, 0, tools) == VIEW_HASHES["region_noised"]
