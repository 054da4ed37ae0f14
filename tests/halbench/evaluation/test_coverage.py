"""How many of the items have a score, and what is said of the others."""

import pytest
from toy_suite import ANSWERS, scored


@pytest.mark.parametrize(("missing", "complete"), [(2, True), (3, False)])
def test_more_than_one_percent_without_a_score_makes_a_run_incomplete(missing, complete):
    scores, coverage = scored(ANSWERS[missing:])
    assert coverage.complete is complete
    assert coverage.missing == missing
    assert f"{missing} without a response" in coverage.complaint()
    assert len(scores) == 200


def test_every_row_of_a_duplicated_id_is_scored_and_the_run_is_not_complete():
    scores, coverage = scored([*ANSWERS, ANSWERS[7]])
    assert len(scores) == 201
    assert coverage.duplicates == ("7",)
    assert not coverage.complete
    assert "1 duplicate id (all rows scored): 7" in coverage.complaint()
