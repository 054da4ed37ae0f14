"""Krippendorff's alpha against published worked examples, and intervals of repeated replies against simulation."""

import numpy as np
import pytest

from halbench.statistics.agreement import (
    Level,
    identical_share,
    judge_deviation,
    krippendorff_alpha,
    two_level_interval,
)

NAN = float("nan")


def table(*raters: str) -> np.ndarray:
    return np.array([[NAN if mark == "*" else float(mark) for mark in rater.split()] for rater in raters]).T


# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), sections A and C; and the example of three coders and
# fifteen units in encyclopedias (Hayes & Krippendorff's `kalpha` gives the same numbers).
BINARY = table("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")
FOUR_OBSERVERS = table(
    "1 2 3 3 2 1 4 1 2 * * *",
    "1 2 3 3 2 2 4 1 2 5 * 3",
    "* 3 3 3 2 3 4 2 2 5 1 *",
    "1 2 3 3 2 4 4 1 2 5 1 *",
)
THREE_CODERS = table("* * * * * 3 4 1 2 1 1 3 3 * 3", "1 * 2 1 3 3 4 3 * * * * * * *", "* * 2 1 3 4 4 * 2 1 1 3 3 * 4")


@pytest.mark.parametrize(
    ("ratings", "level", "alpha"),
    [
        (BINARY, "nominal", 0.095),
        (FOUR_OBSERVERS, "nominal", 0.743),
        (FOUR_OBSERVERS, "ordinal", 0.815),
        (FOUR_OBSERVERS, "interval", 0.849),
        (THREE_CODERS, "nominal", 0.691),
        (THREE_CODERS, "interval", 0.811),
    ],
)
def test_alpha_equals_the_published_examples(ratings: np.ndarray, level: Level, alpha: float) -> None:
    assert krippendorff_alpha(ratings, level) == pytest.approx(alpha, abs=5e-4)


def test_full_agreement_is_one_and_too_little_is_undefined() -> None:
    assert krippendorff_alpha(table("1 2 3", "1 2 3"), "ordinal") == 1
    assert krippendorff_alpha(table("2 2", "2 2"), "nominal") is None
    assert krippendorff_alpha(table("1 *", "* 2"), "interval") is None
    assert krippendorff_alpha(np.empty((0, 2)), "nominal") is None


def test_identical_ratings_are_counted_by_pairs() -> None:
    assert identical_share(BINARY) == pytest.approx(0.6)
    assert identical_share(table("1 1 *", "1 2 *", "1 2 3")) == pytest.approx((6 + 2) / 12)
    assert identical_share(table("1 2", "* *")) is None


def replies(seed: int, between: float, within: float, n: int = 96, repeats: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, between, (n, 1)) + rng.normal(0, within, (n, repeats))


@pytest.mark.parametrize(("between", "within"), [(1.5, 0.5), (0.5, 1.5)])
def test_the_interval_holds_the_judge_s_own_variance(between: float, within: float) -> None:
    held = 0
    for seed in range(60):
        ratings = replies(seed, between, within)
        low, high = two_level_interval(ratings, np.ones_like(ratings), 400) or (NAN, NAN)
        held += low <= 0 <= high
    assert held >= 55


def test_the_judge_s_share_is_the_deviation_of_its_replies() -> None:
    ratings = replies(1, 1.0, 0.9)
    assert judge_deviation(ratings, np.ones_like(ratings)) == pytest.approx(0.9 / np.sqrt(3 * 96), rel=0.15)
    assert judge_deviation(ratings[:, :1], np.ones((96, 1))) is None


def test_missing_replies_and_undefined_ratios_are_left_out() -> None:
    ratings = np.array([[3.0, NAN], [NAN, 3.0], [NAN, NAN], [3.0, 3.0]])
    assert two_level_interval(ratings, np.where(np.isfinite(ratings), 1.0, NAN), 100) == (3.0, 3.0)
    assert two_level_interval(ratings[:1], ratings[:1]) is None
    assert two_level_interval(ratings, 0 * ratings, 100) is None
