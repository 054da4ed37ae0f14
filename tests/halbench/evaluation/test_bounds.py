"""Bounds: what the items without a score leave open, from the counts that a suite declares possible."""

from dataclasses import replace
from pathlib import Path

import pytest

from halbench.errors import InputError
from halbench.evaluation.bounds import bounds, ends
from halbench.scoring_tools import yes_no
from halbench.scoring_tools.ratios import ratio_metric
from halbench.statistics.clusters import cluster_sums, estimate
from halbench.suites import amber, chair, mmhal, scenes
from halbench.types import Item, Metric, Score, Suite, Task

ITEMS = [Item(str(n), (Path(f"{n}.jpg"),), "Is there a dog?", "yes" if n % 2 else "no", "all") for n in range(10)]
QUESTIONS = Task(ITEMS, lambda *_: None, {}, extremes=lambda item: yes_no.extremes(item.truth, positive="yes"))
METRICS = {metric.name: metric for metric in (*yes_no.metrics(("all",), {}), yes_no.unread_metric(("all",)))}


def answered(items: list[Item], *answers: str | None) -> list[Score]:
    rows = zip(items, answers, strict=False)
    return [Score.of(item, yes_no.count_answer(item.truth, answer, "yes")) for item, answer in rows]


def of(suite: Suite, name: str) -> Metric:
    return next(metric for metric in suite.metrics if metric.name == name)


def test_a_share_of_right_answers_lies_between_all_others_wrong_and_all_others_right():
    scores = answered(ITEMS, *["no"] * 7)  # 4 of 7 right
    assert bounds(METRICS["accuracy"], ends(QUESTIONS, scores, ITEMS)) == (4 / 10, 7 / 10)


def test_f1_and_precision_are_bounded_by_the_questions_that_have_no_score():
    scores = answered(ITEMS, *["no", "yes"] * 4)  # all right: 4 of 5 positives; 8 is a no, 9 a yes
    group = ends(QUESTIONS, scores, ITEMS)
    assert bounds(METRICS["f1"], group) == (2 * 4 / (5 + 5), 1.0)  # 8 wrongly yes, 9 wrongly no
    assert bounds(METRICS["precision"], group) == (4 / 5, 1.0)
    assert bounds(METRICS["unread"], group) == (2 / 10, 0.0)


def test_every_answer_to_the_open_questions_is_within_the_bounds():
    items, scores = ITEMS[:4], answered(ITEMS, "yes", "yes")
    group = ends(QUESTIONS, scores, items)
    for one in ("yes", "no", None):
        for other in ("yes", "no", None):
            whole = cluster_sums([*scores, *answered(items[2:], one, other)], group.names)
            for metric in METRICS.values():
                value = estimate(metric, whole)
                assert value is None or min(bounds(metric, group)) <= value <= max(bounds(metric, group))


def test_a_rating_lies_between_the_ends_of_its_scale():
    item = Item("a", (Path("a.jpg"),), "What?", {}, "attribute")
    items = [item, replace(item, id="b")]
    scores = [Score.of(item, {"rated": 1, "rating": 2, "hallucinated": 1, "informative": 2 / 3})]
    group = ends(Task(items, mmhal.score, {}, extremes=lambda item: mmhal.EXTREMES), scores, items)
    assert bounds(of(mmhal.SUITE, "score"), group) == (1, 4)
    assert bounds(of(mmhal.SUITE, "hallucination_rate"), group) == (1, 0.5)


def test_captions_bound_what_is_counted_once_per_caption_or_object_and_nothing_bounds_mentions_and_words():
    items = [Item(str(n), (Path(f"{n}.jpg"),), "Describe.", ["dog", "cat"], "all") for n in range(4)]
    counts = {"captions": 1, "captions_hallucinated": 0, "truth_objects": 2, "truth_named": 1}
    scores = [Score.of(item, {**counts, "mentions": 3, "mentions_hallucinated": 0, "words": 9}) for item in items[:3]]
    group = ends(Task(items, lambda *_: None, {}, extremes=chair.extremes), scores, items)
    assert bounds(of(chair.SUITE, "chair_s"), group) == (1 / 4, 0)
    assert bounds(of(chair.SUITE, "recall"), group) == (3 / 8, 5 / 8)
    assert bounds(of(chair.SUITE, "chair_i"), group) == bounds(of(chair.SUITE, "length"), group) == (None, None)


def test_a_metric_over_two_kinds_of_items_is_bounded_if_the_kind_without_a_score_has_a_limit():
    described = Item("1", (Path("1.jpg"),), "Describe.", {"truth": ["sky"], "hallu": ["dog"]}, "generative")
    asked = Item("2", (Path("1.jpg"),), "Is there a dog?", "no", "existence")
    scores = [
        Score.of(described, {"descriptions": 1, "nouns": 4, "nouns_hallucinated": 1}),
        Score.of(asked, yes_no.count_answer("no", "no", "no")),
    ]
    for lacking, expected in ((asked, ((1 - 1 / 4 + 2 / 3) / 2, (1 - 1 / 4 + 1) / 2)), (described, (None, None))):
        items = [described, asked, replace(lacking, id="3")]
        group = ends(Task(items, lambda *_: None, {}, extremes=amber.extremes), scores, items)
        assert bounds(of(amber.SUITE, "amber_score"), group) == pytest.approx(expected)


def test_without_extremes_without_gaps_and_without_a_direction_there_are_no_bounds():
    scores = answered(ITEMS, *["no"] * 10)
    assert ends(QUESTIONS, scores, ITEMS) is None
    assert ends(replace(QUESTIONS, extremes=None), scores[:5], ITEMS) is None
    yes_ratio = ratio_metric("yes_ratio", "answered_positive", "questions", "neither")
    assert bounds(yes_ratio, ends(QUESTIONS, scores[:5], ITEMS)) == (None, None)


def test_a_metric_over_several_answers_has_no_bounds():
    pairs = ratio_metric("pairs", "pairs_right", "pairs", "higher")
    scores = [replace(s, counts={**s.counts, "pairs": 1, "pairs_right": 1}) for s in answered(ITEMS, *["no"] * 5)]
    group = ends(replace(QUESTIONS, joint=lambda scores: scores), scores, ITEMS)
    assert bounds(pairs, group) == (None, None)
    assert bounds(METRICS["accuracy"], group) != (None, None)


def test_nothing_scored_leaves_everything_open():
    scene = Item(
        "0/description", (Path("0.png"),), "?", {"present": ["cup"], "absent_partners": ["fork"]}, "description"
    )
    group = ends(Task([scene], lambda *_: None, {}, extremes=scenes.extremes), [], [scene])
    assert [bounds(of(scenes.SUITE, name), group) for name in ("hal", "cover", "cog")] == [(1, 0), (0, 1), (1, 0)]


def test_extremes_that_are_none_are_named_with_their_line():
    with pytest.raises(InputError, match=r"test_bounds\.py:\d+: extremes\(\)"):
        ends(replace(QUESTIONS, extremes=lambda item: {"questions": 1}), [], ITEMS)
