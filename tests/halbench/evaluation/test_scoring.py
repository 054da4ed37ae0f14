"""From responses to results: values, undefined values, failures."""

from dataclasses import replace

from toy_suite import ANSWERS, SUITE, TASK, scored

from halbench.evaluation.scoring import mean_scores, results
from halbench.types import Score


def test_a_whole_run_is_complete_and_its_value_carries_an_interval():
    scores, coverage = scored(ANSWERS)
    (row,) = results(SUITE, TASK, scores, "s")
    assert coverage.complete
    assert coverage.complaint() == ""
    assert (row.value, row.n, row.coverage) == (0.25, 200, 1.0)
    assert row.low < 0.25 < row.high


def test_a_failed_response_is_counted_and_never_scored():
    failed = [replace(response, state="error", error="image not found") for response in ANSWERS[:10]]
    scores, coverage = scored([*failed, *ANSWERS[10:]])
    (row,) = results(SUITE, TASK, scores, "s")
    assert (coverage.errors, row.n, row.coverage) == (10, 190, 0.95)
    assert row.value == sum(answer.text == "dog" for answer in ANSWERS[10:]) / 190
    assert "image not found" in coverage.complaint()


def test_a_value_that_is_nought_over_nought_is_undefined():
    scores, _ = scored([replace(response, state="error") for response in ANSWERS])
    (row,) = results(SUITE, TASK, scores, "s")
    assert (row.value, row.low, row.high, row.n) == (None, None, None, 0)


def test_several_verdicts_on_a_response_give_the_mean_of_those_that_can_be_scored():
    one = Score("1", "1.jpg", "all", {"rating": 4, "bad": False, "official_rating": 4}, {"judge": "4"}, faults=0.0)
    two = replace(one, counts={"rating": 1, "bad": True, "official_rating": 1}, evidence={"judge": "1"}, faults=2.0)
    none = replace(one, counts={"official_rating": 0}, state="unscored", error="no verdict", faults=None)
    (mean,) = mean_scores([[one], [two], [none]])
    assert mean.counts == {"rating": 2.5, "bad": 0.5, "official_rating": 5 / 3}
    assert (mean.state, mean.faults, mean.error) == ("scored", 1.0, None)
    assert mean.evidence == {"judge": "4", "replies": [one.counts, two.counts, None]}
    (unscored,) = mean_scores([[none], [none]])
    assert (unscored.state, unscored.counts) == ("unscored", {"official_rating": 0})
    assert mean_scores([[one, two]]) == [one, two]
