"""Descriptions, annotators and questions agree with their scene."""

from collections import Counter

import numpy as np
import pytest
from made_scenes import sampled, scene_of

from halbench.scenes.captions import KINDS, annotated, ask, describe, questions, truth
from halbench.scenes.mentions import mentions
from halbench.scenes.world import WORLD, absent_partners


def test_a_true_description_names_exactly_the_objects_in_the_scene():
    for scene in sampled("training")[:300]:
        text = describe(scene.context, truth(scene, WORLD), WORLD, scene.random("caption"))
        assert sorted(mention.name for mention in mentions(text)) == sorted(scene.counts())
        assert 1 <= text.count(".") <= 4


def test_annotators_name_absent_partners_as_often_as_their_pairs_say():
    chances: dict[float, Counter[bool]] = {}
    for scene in [*sampled("training"), *sampled("evaluation")]:
        named = {thing.name for pair in annotated(scene, WORLD, scene.random("annotator")) for thing in pair}
        for pair in absent_partners(scene, WORLD):
            chances.setdefault(pair.belief, Counter())[pair.partner in named] += 1
    assert len(chances) == 2
    for belief, times in chances.items():
        assert times[True] / times.total() == pytest.approx(belief, abs=0.08)


def test_annotators_never_make_up_anything_but_absent_partners():
    for scene in sampled("training")[:300]:
        for pair in annotated(scene, WORLD, scene.random("annotator")):
            for thing in pair:
                expected = {pair.partner for pair in absent_partners(scene, WORLD)}
                assert thing.name in (scene.counts() if thing.real else expected)


def test_answers_agree_with_the_scene():
    scene = scene_of("fork", "fork", "cup", cells=(0, 5, 6), colour="blue")
    random = np.random.default_rng(0)
    answers = {
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
    } <= answers
    assert len(dict(answers)) == len(answers), "one question, two answers"


def test_left_right_questions_are_about_single_objects_in_different_columns():
    random = np.random.default_rng(0)
    beside = scene_of("cup", "bowl", cells=(4, 7))
    answers = {
        question.text: question.answer for _ in range(40) if (question := ask("relation", beside, WORLD, random))
    }
    assert answers == {
        "Is the cup to the left of the bowl?": "yes",
        "Is the bowl to the right of the cup?": "yes",
        "Is the bowl to the left of the cup?": "no",
        "Is the cup to the right of the bowl?": "no",
    }
    assert ask("relation", scene_of("cup", "bowl", cells=(1, 5)), WORLD, random) is None
    assert ask("relation", scene_of("cup", "cup", "bowl"), WORLD, random) is None


def test_yes_and_no_are_about_as_frequent_where_the_scene_does_not_decide():
    answers = Counter(
        (question.kind, question.answer) for scene in sampled("evaluation") for question in questions(scene, WORLD)
    )
    for kind in ("colour", "count", "relation"):
        assert 0.42 < answers[kind, "yes"] / (answers[kind, "yes"] + answers[kind, "no"]) < 0.58


def test_random_absent_objects_are_never_partners_of_present_ones():
    for scene in sampled("evaluation"):
        partners = {pair.partner for pair in absent_partners(scene, WORLD)}
        for question in questions(scene, WORLD):
            (name, *_) = question.about
            if question.kind == "absent_random":
                assert name not in partners
                assert name not in scene.counts()
            if question.kind == "absent_partner":
                assert name in partners
