"""From responses to results: values, undefined values, failures."""

from dataclasses import replace

from toy_suite import ANSWERS, SUITE, TASK, scored

from halbench.evaluation.scoring import results


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
