"""The embedded world: what is in a scene follows from its seed, and what is drawn and said of it is true."""

from collections import Counter

import numpy as np
import pytest

from halbench.scenes.captions import KINDS, annotated, ask, describe, questions, truth
from halbench.scenes.drawing import SHAPES, draw_scene, object_box
from halbench.scenes.world import (
    SPLITS,
    Scene,
    SceneObject,
    WorldParameters,
    absent_partners,
    plural,
    sample_scene,
    sample_scenes,
    split_of,
)
from halbench.suites.scenes import mentions

WORLD = WorldParameters()
QUIET = WorldParameters(noise=0)


@pytest.fixture(scope="module")
def training() -> list[Scene]:
    return sample_scenes(WORLD, 0, "training", range(1500))


@pytest.fixture(scope="module")
def evaluation() -> list[Scene]:
    return sample_scenes(WORLD, 0, "evaluation", range(600))


def scene_of(*names: str, colour: str = "red", cells: tuple[int, ...] | None = None) -> Scene:
    """A scene made by hand, objects in the cells given or in the first ones."""
    objects = [
        SceneObject(name, colour, cell, cell % 4 * 20, cell // 4 * 20, 18)
        for name, cell in zip(names, cells or range(len(names)), strict=True)
    ]
    return Scene(0, "evaluation", 0, "kitchen", tuple(objects))


def layout(scene: Scene) -> tuple[tuple[int, str, str], ...]:
    return tuple((thing.cell, thing.name, thing.colour) for thing in scene.objects)


def test_the_same_seed_and_number_are_the_same_scene_and_image():
    again = sample_scene(WORLD, 3, "evaluation", 7)
    assert sample_scene(WORLD, 3, "evaluation", 7) == again
    assert draw_scene(again, WORLD).tobytes() == draw_scene(again, WORLD).tobytes()


@pytest.mark.parametrize(("seed", "index"), [(4, 7), (3, 8)], ids=["another seed", "another number"])
def test_another_seed_or_number_is_another_scene(seed: int, index: int):
    assert layout(sample_scene(WORLD, seed, "evaluation", index)) != layout(sample_scene(WORLD, 3, "evaluation", 7))


def test_scenes_do_not_depend_on_how_many_are_drawn(evaluation: list[Scene]):
    assert sample_scenes(WORLD, 0, "evaluation", [599]) == [evaluation[599]]


def test_the_splits_share_no_scene_whatever_the_seeds(training: list[Scene], evaluation: list[Scene]):
    others = [*training, *sample_scenes(WORLD, 1, "training", range(300))]
    assert {layout(scene) for scene in others}.isdisjoint({layout(scene) for scene in evaluation})
    assert all(split_of(scene.objects) == scene.split for scene in [*others, *evaluation])


@pytest.mark.parametrize("split", SPLITS)
def test_partners_join_their_triggers_as_often_as_the_parameters_say(
    split: str, training: list[Scene], evaluation: list[Scene]
):
    joined: Counter[bool] = Counter()
    for scene in training if split == "training" else evaluation:
        present = scene.counts()
        joined.update(pair.partner in present for pair in WORLD.associations if pair.trigger in present)
    assert joined[True] / joined.total() == pytest.approx(WORLD.partner_rates[split], abs=0.04)


def test_each_cell_holds_one_object_at_most_and_a_class_has_one_colour(training: list[Scene]):
    for scene in training:
        cells = [thing.cell for thing in scene.objects]
        assert len(set(cells)) == len(cells)
        assert len({(thing.name, thing.colour) for thing in scene.objects}) == len(scene.counts())
        assert max(scene.counts().values()) <= 3


def test_a_box_holds_every_pixel_of_its_object_and_is_tight():
    for index in range(20):
        scene = sample_scene(QUIET, 0, "evaluation", index)
        for thing in scene.objects:
            with_it = np.asarray(draw_scene(scene, QUIET)).astype(int)
            rest = tuple(other for other in scene.objects if other != thing)
            without = np.asarray(draw_scene(Scene(0, "evaluation", index, scene.context, rest), QUIET)).astype(int)
            left, top, right, bottom = object_box(thing)
            # Pixels of the anti-aliased rim, of which less than a sixth is drawn, may lie outside.
            rows, columns = np.nonzero(np.abs(with_it - without).max(-1) > 45)
            assert left <= columns.min() <= left + 2
            assert right - 3 <= columns.max() < right
            assert top <= rows.min() <= top + 2
            assert bottom - 3 <= rows.max() < bottom


def test_every_class_has_a_drawing_that_no_other_has():
    assert set(SHAPES) == set(WORLD.classes)
    assert len(set(SHAPES.values())) == len(SHAPES)


def test_a_true_description_names_all_that_is_there_and_nothing_else(training: list[Scene]):
    for scene in training[:300]:
        text = describe(scene.context, truth(scene, WORLD), WORLD, scene.random("caption"))
        assert sorted(mention.name for mention in mentions(text)) == sorted(scene.counts())
        assert 1 <= text.count(".") <= 4


def test_annotators_name_absent_partners_as_often_as_their_pairs_say(training: list[Scene], evaluation: list[Scene]):
    chances: dict[float, Counter[bool]] = {}
    for scene in [*training, *evaluation]:
        named = {thing.name for pair in annotated(scene, WORLD, scene.random("annotator")) for thing in pair}
        for pair in absent_partners(scene, WORLD):
            chances.setdefault(pair.belief, Counter())[pair.partner in named] += 1
    assert len(chances) == 2
    for belief, times in chances.items():
        assert times[True] / times.total() == pytest.approx(belief, abs=0.08)


def test_annotators_never_make_up_anything_but_absent_partners(training: list[Scene]):
    for scene in training[:300]:
        for pair in annotated(scene, WORLD, scene.random("annotator")):
            for thing in pair:
                expected = {pair.partner for pair in absent_partners(scene, WORLD)}
                assert thing.name in (scene.counts() if thing.real else expected)


def test_answers_agree_with_the_scene():
    scene = scene_of("fork", "fork", "cup", cells=(0, 5, 6), colour="blue")
    random = np.random.default_rng(0)
    asked = {
        (question.text, question.answer)
        for kind in KINDS
        for _ in range(60)
        if (question := ask(kind, scene, WORLD, random))
    }
    assert {
        ("Is there a fork in the image?", "yes"),
        ("Is there a knife in the image?", "no"),
        ("Are there blue forks in the image?", "yes"),
        ("Are there red forks in the image?", "no"),
        ("Is there a blue cup in the image?", "yes"),
        ("Are there exactly two forks in the image?", "yes"),
        ("Is there exactly one fork in the image?", "no"),
        ("Is there exactly one cup in the image?", "yes"),
    } <= asked
    assert len(dict(asked)) == len(asked), "one question, two answers"


def test_left_and_right_are_asked_of_single_objects_in_different_columns():
    random = np.random.default_rng(0)
    beside = scene_of("cup", "bowl", cells=(4, 7))
    asked = {question.text: question.answer for _ in range(40) if (question := ask("relation", beside, WORLD, random))}
    assert asked == {
        "Is the cup to the left of the bowl?": "yes",
        "Is the bowl to the right of the cup?": "yes",
        "Is the bowl to the left of the cup?": "no",
        "Is the cup to the right of the bowl?": "no",
    }
    assert ask("relation", scene_of("cup", "bowl", cells=(1, 5)), WORLD, random) is None
    assert ask("relation", scene_of("cup", "cup", "bowl"), WORLD, random) is None


def test_yes_and_no_are_about_as_frequent_where_the_scene_does_not_decide(evaluation: list[Scene]):
    answers = Counter((question.kind, question.answer) for scene in evaluation for question in questions(scene, WORLD))
    for kind in ("colour", "count", "relation"):
        assert 0.42 < answers[kind, "yes"] / (answers[kind, "yes"] + answers[kind, "no"]) < 0.58


def test_absent_objects_by_lot_are_never_partners_of_what_is_there(evaluation: list[Scene]):
    for scene in evaluation:
        partners = {pair.partner for pair in absent_partners(scene, WORLD)}
        for question in questions(scene, WORLD):
            (name, *_) = question.about
            if question.kind == "absent_random":
                assert name not in partners
                assert name not in scene.counts()
            if question.kind == "absent_partner":
                assert name in partners


@pytest.mark.parametrize(
    ("name", "several"), [("fork", "forks"), ("knife", "knives"), ("bus", "buses"), ("mouse", "mice")]
)
def test_plurals_are_english(name: str, several: str):
    assert plural(name) == several
