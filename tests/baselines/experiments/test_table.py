"""The table of an ablation."""

import pytest

from baselines.experiments.table import summary


def test_a_metric_over_seeds_has_mean_spread_mean_interval_and_difference():
    rows = [
        {"value": value, "low": value - 0.1, "high": value + 0.2, "n": 6, "better": "lower", "unit": "fraction"}
        for value in (0.25, 0.75)
    ]
    row = summary(rows, 0.25)
    assert (row["mean"], row["min"], row["max"], row["minus_base"]) == (0.5, 0.25, 0.75, 0.25)
    assert (row["low"], row["high"]) == pytest.approx((0.4, 0.7))


def test_a_metric_that_one_seed_leaves_undefined_has_no_mean():
    row = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 6, "better": "lower", "unit": "fraction"}
    merged = summary([row, row | {"value": None}], 0.25)
    assert (merged["mean"], merged["minus_base"]) == (None, None)
