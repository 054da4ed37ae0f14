"""Paired differences: exact small cases, textbook examples, and refusals."""

import math

import numpy as np
import pytest
import scipy
from image_counts import RATE, RATING, counts, paired

from halbench.statistics.clusters import bootstrap_draws, swap_draws
from halbench.statistics.intervals import wilson
from halbench.statistics.paired_tests import holm, mcnemar, paired_test, resampling_footnote, score_bounds


def test_mcnemar_equals_the_exact_binomial_test():
    assert mcnemar(2, 8) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert mcnemar(5, 5) == 1
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 2000) < 1e-300


def test_one_binary_item_per_image_is_tested_by_mcnemar():
    a = counts("hits asked", [[1, 1]] * 8 + [[0, 1]] * 2 + [[1, 1]] * 40)
    b = counts("hits asked", [[0, 1]] * 8 + [[1, 1]] * 2 + [[1, 1]] * 40)
    result = paired(RATE, a, b)
    assert result.method == "McNemar"
    assert result.p_value == mcnemar(8, 2)
    assert result.difference == pytest.approx(-6 / 50)
    assert result.low < result.difference < result.high


def test_answers_whose_denominators_differ_are_not_tested_by_mcnemar():
    a = counts("hits asked", [[1, 1], [0, 0], [1, 1], [0, 1]] * 5)
    b = counts("hits asked", [[0, 1], [0, 1], [1, 1], [0, 0]] * 5)
    assert paired(RATE, a, b).method == "permutation"


def test_ratings_are_tested_by_ranks():
    rng = np.random.default_rng(0)
    ratings = rng.integers(0, 7, size=96)
    a = counts("rating rated", np.column_stack([ratings, np.ones(96)]))
    b = counts("rating rated", np.column_stack([np.minimum(ratings + (rng.random(96) < 0.3), 6), np.ones(96)]))
    result = paired(RATING, a, b)
    assert result.method == "Wilcoxon"
    assert result.p_value < 0.01


def test_a_rank_test_weighs_zero_differences_by_pratts_rule():
    # Differences 0, 0, -1, 2: ranks 1.5, 1.5, 3, 4; signed sum 4 - 3 = 1, reached by all four sign patterns.
    a, b = (counts("rating rated", [[r, 1] for r in ratings]) for ratings in ((3, 3, 3, 3), (3, 3, 2, 5)))
    assert paired(RATING, a, b).p_value == 1
    # Differences 1, 2, 3, 4, 5: only 2 of 32 sign patterns are as far out.
    a, b = (counts("rating rated", [[r, 1] for r in ratings]) for ratings in ((0, 0, 0, 0, 0), (1, 2, 3, 4, 5)))
    assert paired(RATING, a, b, n_resamples=10_000).p_value == pytest.approx(2 / 32, abs=0.01)


def test_equal_differences_share_their_mean_rank():
    # Ranks 2.5 each, signed sum 5: ten of 16 sign patterns are as far out. Ranks 1 to 4 would give fourteen.
    a, b = (counts("rating rated", [[r, 1] for r in ratings]) for ratings in ((3, 3, 3, 3), (4, 4, 4, 2)))
    assert paired(RATING, a, b, n_resamples=10_000).p_value == pytest.approx(10 / 16, abs=0.02)


def test_swapping_within_images_gives_the_exact_permutation_p_value():
    # Equal denominators, all ten images favour B alike: only the two one-sided patterns are as far out, 2 / 1024.
    a, b = counts("hits asked", [[4, 10]] * 10), counts("hits asked", [[2, 10]] * 10)
    result = paired(RATE, a, b, n_resamples=20_000)
    assert result.method == "permutation"
    assert result.p_value == pytest.approx(2 / 1024, abs=0.001)


def test_the_same_counts_on_every_image_are_no_difference_but_not_for_certain():
    a = counts("hits asked", [[i % 3, 7] for i in range(50)])
    result = paired(RATE, a, a)
    assert (result.difference, result.p_value) == (0, 1)
    assert (result.low, result.high) == pytest.approx((-wilson(0, 50)[1], wilson(0, 50)[1]))


def test_the_same_ratings_are_as_uncertain_as_their_range():
    a = counts("rating rated", [[i % 6, 1] for i in range(60)])
    result = paired(RATING, a, a)
    assert (result.low, result.high) == pytest.approx((-5 * wilson(0, 60)[1], 5 * wilson(0, 60)[1]))
    constant = counts("rating rated", [[3, 1]] * 60)
    assert paired(RATING, constant, constant).low is None


@pytest.mark.parametrize(("gained", "lost", "n"), [(5, 0, 20), (3, 9, 100), (7, 7, 14), (1, 2, 1004)])
def test_a_score_interval_ends_where_the_likeliest_model_of_a_difference_is_1_96_deviations_off(gained, lost, n):
    def deviations(true):
        """From the observed difference, under the likeliest paired proportions that differ by `true`, found numerically."""
        edges = max(0.0, -true) + 1e-12, (1 - true) / 2 - 1e-12

        def unlikely(p):
            rest = (n - gained - lost) * math.log(1 - 2 * p - true + 1e-15)
            return -(gained * math.log(p + true) + lost * math.log(p) + rest)

        p = scipy.optimize.minimize_scalar(unlikely, bounds=edges, method="bounded", options={"xatol": 1e-12}).x
        return (gained - lost - n * true) / math.sqrt(n * (2 * p + true - true**2))

    low, high = score_bounds(np.array([1.0] * gained + [-1.0] * lost), n)
    assert (deviations(low), deviations(high)) == pytest.approx((1.96, -1.96), abs=1e-3)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (20, 0), (0, 20), (4, 0), (6, 14)])
def test_a_score_interval_is_within_all_and_nothing_and_the_same_both_ways(gained, lost):
    low, high = score_bounds(np.array([1.0] * gained + [-1.0] * lost), 20)
    assert -1 <= low <= (gained - lost) / 20 <= high <= 1
    assert high - low > 0.1
    assert score_bounds(np.array([-1.0] * gained + [1.0] * lost), 20) == pytest.approx((-high, -low))


def test_the_interval_contains_0_wherever_the_test_does_not_reject():
    # Five against none: the score test alone rejects (z = 2.2), the exact test does not (p = 0.06).
    a, b = counts("hits asked", [[0, 1]] * 50), counts("hits asked", [[1, 1]] * 5 + [[0, 1]] * 45)
    assert paired(RATE, a, b).p_value == pytest.approx(2 / 32)
    assert paired(RATE, a, b).low == 0


def test_a_difference_on_few_images_is_wider_than_its_bootstrap():
    # Two images of 300 with one wrong answer of six each: the bootstrap ends at 0.28 points (5 of 1800 answers).
    a, b = counts("hits asked", [[0, 6]] * 300), counts("hits asked", [[1, 6]] * 2 + [[0, 6]] * 298)
    assert paired(RATE, a, b).high > 0.004


def test_a_rating_of_0_and_1_is_tested_as_a_rating():
    a, b = counts("rating rated", [[0, 1]] * 12), counts("rating rated", [[1, 1]] * 6 + [[0, 1]] * 6)
    assert paired(RATING, a, b).method == "Wilcoxon"


@pytest.mark.parametrize("seed", range(3))
def test_the_rank_test_agrees_with_scipys_exact_one(seed):
    # Eight ratings: SciPy goes through all 256 sign patterns.
    before, after = np.random.default_rng(seed).integers(0, 7, size=(2, 8))
    a, b = (counts("rating rated", np.column_stack([ratings, np.ones(8)])) for ratings in (before, after))
    every_pattern = scipy.stats.PermutationMethod(n_resamples=300)
    exact = scipy.stats.wilcoxon(after - before, zero_method="pratt", method=every_pattern)
    assert paired(RATING, a, b, 20_000).p_value == pytest.approx(exact.pvalue, abs=0.01)


def test_mcnemar_agrees_with_scipys_binomial_test():
    assert mcnemar(3, 11) == pytest.approx(scipy.stats.binomtest(3, 14).pvalue)


def test_two_runs_without_any_hallucination_may_still_differ_a_little():
    a, b = counts("hits asked", [[0, 5]] * 100), counts("hits asked", [[0, 9]] * 100)
    result = paired(RATE, a, b)
    assert (result.difference, result.p_value) == (0, 1)
    assert (result.low, result.high) == pytest.approx((-wilson(0, 100)[1], wilson(0, 100)[1]))


def test_a_difference_that_rests_on_one_image_is_not_significant():
    rows = [[0, 0]] * 30
    assert paired(RATE, counts("hits asked", [[9, 9], *rows]), counts("hits asked", [[0, 9], *rows])).p_value == 1


def test_an_undefined_value_cannot_be_tested():
    assert paired(RATE, counts("hits asked", [[0, 0]] * 3), counts("hits asked", [[1, 2]] * 3)) is None


def test_different_images_are_refused():
    a, b = counts("hits asked", [[0, 1]] * 3), counts("hits asked", [[0, 1]] * 4)
    with pytest.raises(ValueError, match="same clusters"):
        paired_test(RATE, a, b, bootstrap_draws(3, 10), swap_draws(3, 10))


def test_a_difference_of_the_smallest_detectable_size_is_detected_in_four_of_five_cases():
    rng = np.random.default_rng(1)

    def pairs_of(p_a, p_b):
        for _ in range(400):
            yield [counts("hits asked", [[hits, 10] for hits in rng.binomial(10, p, size=200)]) for p in (p_a, p_b)]

    detectable = np.mean([paired(RATE, *pair, 500).smallest_detectable for pair in pairs_of(0.5, 0.5)])
    assert detectable == pytest.approx(2.8 * math.sqrt(2 * 0.25 / 2000), rel=0.05)
    detections = [paired(RATE, *pair, 500).p_value < 0.05 for pair in pairs_of(0.5, 0.5 + detectable)]
    assert np.mean(detections) == pytest.approx(0.8, abs=0.06)


def test_holm_equals_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []


def test_a_footnote_says_when_the_number_of_resamples_limits_p_values():
    note = resampling_footnote([1 / 1001, None, 0.3], 1000)
    assert note is not None
    assert note.startswith(
        "In rows where none of 1000 random swaps was as extreme as the observed difference, p-values are at most 0.001 "
    )
    assert "(0.002 after Holm adjustment)" in note, "the untested row does not count"
    assert resampling_footnote([2 / 1001, None, 1e-9], 1000) is None, (
        "an exact test may be below what random swaps reach"
    )
