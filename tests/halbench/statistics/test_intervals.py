"""Intervals over images: textbook values, and cases in which resampling alone would claim certainty."""

import math

import numpy as np
import pytest
from image_counts import F1, LENGTH, RATE, RATING, bounds, counts

from halbench.statistics.clusters import bootstrap_draws, estimate
from halbench.statistics.intervals import interval, wilson


def test_wilson_equals_the_textbook_value():
    # Newcombe 1998, table I: 15 of 148 and 0 of 20.
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(20, 20) == pytest.approx((0.8389, 1), abs=1e-4)


def test_one_binary_item_per_image_gets_the_wilson_interval():
    result = bounds(RATE, counts("hits asked", [[1, 1]] * 15 + [[0, 1]] * 133))
    assert result.method == "wilson"
    assert (result.low, result.high) == wilson(15, 148)


def test_images_outside_the_denominator_do_not_count_for_wilson():
    # Response Hall: only responses with an object stand in the denominator.
    result = bounds(RATE, counts("hits asked", [[1, 1]] * 15 + [[0, 1]] * 133 + [[0, 0]] * 50))
    assert (result.low, result.high) == wilson(15, 148)


def test_several_items_per_image_get_a_wider_interval_than_independent_items():
    # 50 images of 10 items each, all right or all wrong: 50 observations, not 500.
    result = bounds(RATE, counts("hits asked", [[10, 10]] * 25 + [[0, 10]] * 25))
    independent = wilson(250, 500)
    assert result.method == "bootstrap"
    assert result.high - result.low == pytest.approx(math.sqrt(10) * (independent[1] - independent[0]), rel=0.1)


def test_a_mean_over_few_images_gets_about_the_t_interval():
    # 2.262 = Student's t at 9 degrees of freedom. A plain percentile interval is 18 % narrower: 1.96 * sqrt(9 / 10).
    words = np.arange(10.0)
    result = bounds(LENGTH, counts("words captions", np.column_stack([words, np.ones(10)])), n_resamples=50_000)
    assert (result.high - result.low) / 2 == pytest.approx(2.262 * words.std(ddof=1) / math.sqrt(10), rel=0.03)


def test_nothing_hallucinated_anywhere_is_not_certainty():
    result = bounds(RATE, counts("hits asked", [[0, 14]] * 100))
    assert result.method == "wilson over images"
    assert (result.low, result.high) == wilson(0, 100)
    assert result.high == pytest.approx(0.037, abs=1e-3)


def test_everything_hallucinated_is_not_certainty():
    result = bounds(F1, counts("right answered truth", [[5, 5, 5]] * 30))
    assert (result.low, result.high) == wilson(30, 30)


def test_one_image_says_next_to_nothing():
    result = bounds(RATE, counts("hits asked", [[7, 14]]))
    assert result.low < 0.1
    assert result.high > 0.9


@pytest.mark.parametrize(("metric", "names"), [(RATING, "rating rated"), (LENGTH, "words captions")])
def test_a_rating_or_length_whose_values_are_0_and_1_is_not_a_proportion(metric, names):
    assert bounds(metric, counts(names, [[1, 1]] * 12)) is None
    some = bounds(metric, counts(names, [[1, 1]] * 2 + [[0, 1]] * 10))
    assert some.method == "bootstrap"
    assert (some.low, some.high) != wilson(2, 12)


def test_a_rating_that_never_varies_gets_no_interval():
    assert bounds(RATING, counts("rating rated", [[3, 1]] * 12)) is None


def test_an_undefined_value_has_no_interval():
    empty = counts("hits asked", [[0, 0]] * 5)
    assert estimate(RATE, empty) is None
    assert bounds(RATE, empty) is None
    assert estimate(F1, counts("right answered truth", [[0, 0, 0]])) is None


def test_undefined_replicates_are_left_out():
    # Only 2 of 10 images have a denominator; about one replicate in ten draws neither.
    result = bounds(RATE, counts("hits asked", [[1, 4], [3, 4]] + [[0, 0]] * 8))
    assert 0.25 <= result.low < 0.5 < result.high <= 0.75


def test_the_interval_narrows_with_a_lower_level():
    clusters = counts("hits asked", [[i % 4, 5] for i in range(60)])
    draws = bootstrap_draws(60, 2000)
    wide, narrow = (interval(RATE, clusters, draws, level) for level in (0.95, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high
