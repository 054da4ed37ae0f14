"""What is in a scene follows from its seed and the world's parameters."""

from collections import Counter

import pytest
from made_scenes import sampled

from halbench.scenes.drawing import draw_scene
from halbench.scenes.world import SPLITS, WORLD, Scene, Split, plural, sample_scene, sample_scenes, split_of


def layout(scene: Scene) -> tuple[tuple[int, str, str], ...]:
    return tuple((thing.cell, thing.name, thing.colour) for thing in scene.objects)


def test_the_same_seed_and_number_are_the_same_scene_and_image():
    again = sample_scene(WORLD, 3, "evaluation", 7)
    assert sample_scene(WORLD, 3, "evaluation", 7) == again
    assert draw_scene(again, WORLD).tobytes() == draw_scene(again, WORLD).tobytes()


@pytest.mark.parametrize(("seed", "index"), [(4, 7), (3, 8)], ids=["another seed", "another number"])
def test_another_seed_or_number_is_another_scene(seed: int, index: int):
    assert layout(sample_scene(WORLD, seed, "evaluation", index)) != layout(sample_scene(WORLD, 3, "evaluation", 7))


def test_scenes_do_not_depend_on_how_many_are_drawn():
    assert sample_scenes(WORLD, 0, "evaluation", [599]) == [sampled("evaluation")[599]]


def test_the_splits_share_no_scene_whatever_the_seeds():
    others = [*sampled("training"), *sample_scenes(WORLD, 1, "training", range(300))]
    assert {layout(scene) for scene in others}.isdisjoint({layout(scene) for scene in sampled("evaluation")})
    assert all(split_of(scene.objects) == scene.split for scene in [*others, *sampled("evaluation")])


@pytest.mark.parametrize("split", SPLITS)
def test_partners_join_their_triggers_as_often_as_the_parameters_say(split: Split):
    joined: Counter[bool] = Counter()
    for scene in sampled(split):
        present = scene.counts()
        joined.update(pair.partner in present for pair in WORLD.associations if pair.trigger in present)
    assert joined[True] / joined.total() == pytest.approx(WORLD.partner_rates[split], abs=0.04)


def test_each_cell_holds_one_object_at_most_and_a_class_has_one_colour():
    for scene in sampled("training"):
        cells = [thing.cell for thing in scene.objects]
        assert len(set(cells)) == len(cells)
        assert len({(thing.name, thing.colour) for thing in scene.objects}) == len(scene.counts())
        assert max(scene.counts().values()) <= 3


@pytest.mark.parametrize(
    ("name", "several"), [("fork", "forks"), ("knife", "knives"), ("bus", "buses"), ("mouse", "mice")]
)
def test_plurals_are_english(name: str, several: str):
    assert plural(name) == several
