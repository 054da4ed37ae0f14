"""How many of the items have a score, and what is said of the others."""

from dataclasses import replace

import pytest
from toy_suite import ANSWERS, ITEMS, SUITE, TASK, scored

from halbench.evaluation.coverage import coverage
from halbench.evaluation.evaluate import evaluate
from halbench.judging.judgements import NO_JUDGEMENTS
from halbench.types import Response, Score


@pytest.mark.parametrize(("missing", "complete"), [(2, True), (3, False)])
def test_more_than_one_percent_without_a_score_makes_a_run_incomplete(missing, complete):
    scores, covered = scored(ANSWERS[missing:])
    assert covered.complete is complete
    assert covered.missing == missing
    assert f"{missing} without a response" in covered.complaint()
    assert len(scores) == 200


@pytest.mark.parametrize(("items", "missing", "complete"), [(96, 1, True), (96, 2, False), (3, 1, True), (1, 1, False)])
def test_one_item_without_a_score_is_tolerated_in_a_suite_of_any_size(items, missing, complete):
    scores = [
        Score.of(item, {}, state="scored" if n >= missing else "unscored") for n, item in enumerate(ITEMS[:items])
    ]
    covered = coverage(ITEMS[:items], scores, [])
    assert covered.complete is complete
    assert f"{items - missing} of {items} items scored ({missing} not scorable)" in covered.complaint()


def test_every_row_of_a_duplicated_id_is_scored_and_the_run_is_not_complete():
    scores, covered = scored([*ANSWERS, ANSWERS[7]])
    assert len(scores) == 201
    assert covered.duplicates == ("7",)
    assert not covered.complete
    assert "1 duplicate id (all rows scored): 7" in covered.complaint()


EMPTY = {"text": "", "state": "empty"}
CUT = {"finish": "length"}


def answers(number, **change):
    """All answers, the first ones changed."""
    return [replace(answer, **change) if n < number else answer for n, answer in enumerate(ANSWERS)]


@pytest.mark.parametrize(("kind", "change"), [("empty", EMPTY), ("cut", CUT)])
def test_more_than_one_percent_of_empty_or_cut_answers_makes_a_run_incomplete_unless_the_user_allows_it(kind, change):
    few, many = (evaluate(SUITE, TASK, answers(number, **change), None, NO_JUDGEMENTS) for number in (2, 3))
    assert (few.coverage.complete, many.coverage.complete) == (True, False)
    assert (getattr(few.coverage, kind), getattr(many.coverage, kind)) == (2, 3)
    assert f"--allow {kind}" in many.coverage.complaint()
    assert few.signature == many.signature
    allowed = evaluate(SUITE, TASK, answers(3, **change), None, NO_JUDGEMENTS, (kind,))
    assert allowed.coverage.complete
    assert f"answers: 3 {kind}" in allowed.coverage.complaint()
    assert allowed.signature.endswith(f"|allowed:{kind}")
    assert [row.value for row in allowed.results] == [row.value for row in many.results]
    other = {"empty": "cut", "cut": "empty"}[kind]
    assert not evaluate(SUITE, TASK, answers(3, **change), None, NO_JUDGEMENTS, (other,)).coverage.complete


def test_the_only_answer_may_not_be_empty():
    scores = [Score.of(ITEMS[0], {})]
    assert not coverage(ITEMS[:1], scores, [Response("0", **EMPTY)]).complete


def test_a_question_that_could_be_read_is_not_cut_though_its_answer_went_on():
    cut = [Response(item.id, "Yes, there is a", finish="length") for item in ITEMS]
    readings = ["yes" if n >= 150 else None for n in range(200)]
    scores = [Score.of(item, {}, {"answer": reading}) for item, reading in zip(ITEMS, readings, strict=True)]
    assert coverage(ITEMS, scores, cut).cut == 150


def test_refusals_are_counted_and_do_not_make_a_run_incomplete():
    _, covered = scored(answers(9, text="I'm sorry, but I can't help with that."))
    assert (covered.refused, covered.complete) == (9, True)
    assert "9 refusals" in covered.complaint()
