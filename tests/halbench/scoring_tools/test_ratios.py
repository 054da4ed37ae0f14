"""Quotients of counts, the metrics that suites of descriptions share, and the rounding of official scripts."""

import math

import numpy as np
import pytest

from halbench.scoring_tools.ratios import (
    divide,
    hallucinated_mentions,
    hallucinated_texts,
    length,
    named_share,
    percent_printed,
    ratio_metric,
)


def test_a_quotient_of_nought_by_nought_is_undefined_on_numbers_and_arrays():
    assert divide(1, 4) == 0.25
    assert math.isnan(divide(0, 0))
    assert np.isnan(divide(np.array([1.0, 2.0]), np.array([0.0, 4.0]))).tolist() == [True, False]


def test_a_ratio_knows_its_counts():
    metric = ratio_metric("rate", "hits", "asked", "lower", companions=())
    assert (metric.ratio, metric.value({"hits": 1, "asked": 8})) == (("hits", "asked"), 0.125)


@pytest.mark.parametrize(
    ("metric", "better", "unit", "description"),
    [
        (hallucinated_mentions("chair", "a", "b"), "lower", "fraction", "hallucinated share of mentioned objects"),
        (hallucinated_texts("hal", "a", "captions"), "lower", "fraction", "share of captions that hallucinate"),
        (hallucinated_texts("h", "a", "answers_with_object"), "lower", "fraction", "share of answers that hallucinate"),
        (named_share("recall", "a", "b"), "higher", "fraction", "share of the image's objects that are mentioned"),
        (length("descriptions"), "neither", "words", "words per description"),
    ],
)
def test_the_metrics_of_descriptions_say_what_they_measure(metric, better, unit, description):
    assert (metric.better, metric.unit, metric.description) == (better, unit, description)
    assert metric.main == ("all",)


def test_they_are_headline_numbers_of_their_groups_unless_the_suite_says_otherwise():
    assert length("texts", groups=("generative",)).main == ("generative",)
    assert hallucinated_texts("chair_s", "a", "b", main=()).main == ()


def test_official_percentages_are_rounded_as_printed_and_missing_without_a_denominator():
    printed = percent_printed("hits", "asked", 1)
    assert printed({"hits": 1, "asked": 3}, "all") == 33.3
    assert printed({"hits": 0, "asked": 0}, "all") is None
