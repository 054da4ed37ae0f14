import math
from functools import cache

import numpy as np
import pytest

from halbench.ratios import ratio_metric
from halbench.statistics import (
    ClusterCounts,
    bootstrap_draws,
    cluster_sums,
    count_names,
    estimate,
    holm,
    interval,
    mcnemar,
    mid_ranks,
    paired_test,
    swap_draws,
    wilson,
)
from halbench.types import Metric, Score

RATE = ratio_metric("rate", "hits", "asked", "lower")
RATING = ratio_metric("score", "rating", "rated", "higher", unit="rating")
LENGTH = ratio_metric("length", "words", "captions", "neither", unit="words")
F1 = Metric("f1", lambda c: 2 * c["right"] / (c["answered"] + c["truth"]), "higher")


def counts(names, rows):
    """ClusterCounts of one row per image; names in one string."""
    matrix = np.array(rows, dtype=np.float64)
    return ClusterCounts(tuple(names.split()), matrix, tuple(map(str, range(len(matrix)))))


def bounds(metric, clusters, folds=2000):
    return interval(metric, clusters, bootstrap_draws(len(clusters.clusters), folds))


def paired(metric, a, b, folds=2000):
    n = len(a.clusters)
    return paired_test(metric, a, b, bootstrap_draws(n, folds), swap_draws(n, folds))


# Counts and draws


def test_counts_are_summed_per_image_and_only_over_scored_responses():
    scores = [
        Score("1", "b.jpg", "all", {"hits": 1, "asked": 2}),
        Score("2", "a.jpg", "all", {"asked": 3}),
        Score("3", "b.jpg", "all", {"hits": 2, "asked": 2}),
        Score("4", "c.jpg", "all", {"hits": 9}, state="unscored"),
    ]
    sums = cluster_sums(scores, count_names(scores))
    assert sums.names == ("hits", "asked")
    assert sums.clusters == ("a.jpg", "b.jpg")
    assert sums.matrix.tolist() == [[0, 3], [3, 4]]
    assert estimate(RATE, sums) == 3 / 7


def test_no_score_at_all_gives_an_undefined_value():
    assert estimate(RATE, cluster_sums([], ("hits", "asked"))) is None


def test_each_fold_draws_as_many_images_as_there_are_and_every_image_about_once():
    weights = bootstrap_draws(40, 3000).weights.astype(int)
    assert set(weights.sum(axis=1)) == {40}
    assert np.abs(weights.mean(axis=0) - 1).max() < 0.1
    assert weights.var() == pytest.approx(1 - 1 / 40, rel=0.05)  # multinomial


def test_a_swap_is_a_fair_coin():
    coins = swap_draws(37, 4000).weights
    assert set(np.unique(coins)) == {0, 1}
    assert np.abs(coins.mean(axis=0) - 0.5).max() < 0.04


def test_draws_depend_on_seed_and_number_of_images_alone():
    first = bootstrap_draws(30, 200, seed=3).weights.copy()
    bootstrap_draws.cache_clear()
    bootstrap_draws(31, 200, seed=3)
    assert (bootstrap_draws(30, 200, seed=3).weights == first).all()
    assert (bootstrap_draws(30, 200, seed=4).weights != first).any()


def test_weighted_sums_equal_a_plain_loop_over_the_drawn_images():
    draws = bootstrap_draws(7, 1234)
    matrix = np.random.default_rng(0).integers(0, 50, size=(7, 3)).astype(float)
    loop = [
        sum(weight * row for weight, row in zip(weights, matrix, strict=True)) for weights in draws.weights.tolist()
    ]
    assert (draws.sums(matrix) == np.array(loop)).all()


# Intervals


def test_wilson_equals_the_textbook_value():
    # Newcombe 1998, table I: 15 of 148 and 0 of 20.
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(20, 20) == pytest.approx((0.8389, 1), abs=1e-4)


def test_one_binary_item_per_image_gets_the_wilson_interval():
    found = bounds(RATE, counts("hits asked", [[1, 1]] * 15 + [[0, 1]] * 133))
    assert found.method == "wilson"
    assert (found.low, found.high) == wilson(15, 148)


def test_images_outside_the_denominator_do_not_count_for_wilson():
    # Response Hall: only responses with an object stand in the denominator.
    found = bounds(RATE, counts("hits asked", [[1, 1]] * 15 + [[0, 1]] * 133 + [[0, 0]] * 50))
    assert (found.low, found.high) == wilson(15, 148)


def test_several_items_per_image_get_a_wider_interval_than_independent_items():
    # 50 images of 10 items each, all right or all wrong: 50 observations, not 500.
    found = bounds(RATE, counts("hits asked", [[10, 10]] * 25 + [[0, 10]] * 25))
    independent = wilson(250, 500)
    assert found.method == "bootstrap"
    assert found.high - found.low == pytest.approx(math.sqrt(10) * (independent[1] - independent[0]), rel=0.1)


def test_a_mean_over_few_images_gets_about_the_t_interval():
    # 2.262 = Student's t at 9 degrees of freedom. A plain percentile interval is 18 % narrower: 1.96 * sqrt(9 / 10).
    words = np.arange(10.0)
    found = bounds(LENGTH, counts("words captions", np.column_stack([words, np.ones(10)])), folds=50_000)
    assert (found.high - found.low) / 2 == pytest.approx(2.262 * words.std(ddof=1) / math.sqrt(10), rel=0.03)


def test_nothing_hallucinated_anywhere_is_not_certainty():
    found = bounds(RATE, counts("hits asked", [[0, 14]] * 100))
    assert found.method == "wilson over images"
    assert (found.low, found.high) == wilson(0, 100)
    assert found.high == pytest.approx(0.037, abs=1e-3)


def test_everything_hallucinated_is_not_certainty():
    found = bounds(F1, counts("right answered truth", [[5, 5, 5]] * 30))
    assert (found.low, found.high) == wilson(30, 30)


def test_one_image_says_next_to_nothing():
    found = bounds(RATE, counts("hits asked", [[7, 14]]))
    assert found.low < 0.1
    assert found.high > 0.9


def test_a_rating_that_never_varies_gets_no_interval():
    assert bounds(RATING, counts("rating rated", [[3, 1]] * 12)) is None


def test_an_undefined_value_has_no_interval():
    empty = counts("hits asked", [[0, 0]] * 5)
    assert estimate(RATE, empty) is None
    assert bounds(RATE, empty) is None
    assert estimate(F1, counts("right answered truth", [[0, 0, 0]])) is None


def test_undefined_replicates_are_left_out():
    # Only 2 of 10 images have a denominator; about one replicate in ten draws neither.
    found = bounds(RATE, counts("hits asked", [[1, 4], [3, 4]] + [[0, 0]] * 8))
    assert 0.25 <= found.low < 0.5 < found.high <= 0.75


def test_the_interval_narrows_with_a_lower_level():
    clusters = counts("hits asked", [[i % 4, 5] for i in range(60)])
    draws = bootstrap_draws(60, 2000)
    wide, narrow = (interval(RATE, clusters, draws, level) for level in (0.95, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high


# Paired tests


def test_mcnemar_equals_the_exact_binomial_test():
    assert mcnemar(2, 8) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert mcnemar(5, 5) == 1
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 2000) < 1e-300


def test_one_binary_item_per_image_is_tested_by_mcnemar():
    a = counts("hits asked", [[1, 1]] * 8 + [[0, 1]] * 2 + [[1, 1]] * 40)
    b = counts("hits asked", [[0, 1]] * 8 + [[1, 1]] * 2 + [[1, 1]] * 40)
    found = paired(RATE, a, b)
    assert found.method == "McNemar"
    assert found.p_value == mcnemar(8, 2)
    assert found.difference == pytest.approx(-6 / 50)
    assert found.low < found.difference < found.high


def test_answers_whose_denominators_differ_are_not_tested_by_mcnemar():
    a = counts("hits asked", [[1, 1], [0, 0], [1, 1], [0, 1]] * 5)
    b = counts("hits asked", [[0, 1], [0, 1], [1, 1], [0, 0]] * 5)
    assert paired(RATE, a, b).method == "permutation"


def test_ratings_are_tested_by_ranks():
    rng = np.random.default_rng(0)
    ratings = rng.integers(0, 7, size=96)
    a = counts("rating rated", np.column_stack([ratings, np.ones(96)]))
    b = counts("rating rated", np.column_stack([np.minimum(ratings + (rng.random(96) < 0.3), 6), np.ones(96)]))
    found = paired(RATING, a, b)
    assert found.method == "Wilcoxon"
    assert found.p_value < 0.01


def test_a_rank_test_weighs_zero_differences_by_pratts_rule():
    # Differences 0, 0, -1, 2: ranks 1.5, 1.5, 3, 4; signed sum 4 - 3 = 1, reached by all four sign patterns.
    a, b = (counts("rating rated", [[r, 1] for r in ratings]) for ratings in ((3, 3, 3, 3), (3, 3, 2, 5)))
    assert paired(RATING, a, b).p_value == 1
    # Differences 1, 2, 3, 4, 5: only 2 of 32 sign patterns are as far out.
    a, b = (counts("rating rated", [[r, 1] for r in ratings]) for ratings in ((0, 0, 0, 0, 0), (1, 2, 3, 4, 5)))
    assert paired(RATING, a, b, folds=10_000).p_value == pytest.approx(2 / 32, abs=0.01)


def test_equal_values_share_their_mean_rank():
    assert mid_ranks(np.array([5.0, 1.0, 5.0, 0.0])).tolist() == [3.5, 2, 3.5, 1]


def test_swapping_within_images_gives_the_exact_permutation_p_value():
    # Equal denominators, all ten images favour B alike: only the two one-sided patterns are as far out, 2 / 1024.
    a, b = counts("hits asked", [[4, 10]] * 10), counts("hits asked", [[2, 10]] * 10)
    found = paired(RATE, a, b, folds=20_000)
    assert found.method == "permutation"
    assert found.p_value == pytest.approx(2 / 1024, abs=0.001)


def test_the_same_counts_on_every_image_are_no_difference():
    a = counts("hits asked", [[i % 3, 7] for i in range(50)])
    found = paired(RATE, a, a)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert found.method == "identical counts"


def test_two_runs_without_any_hallucination_may_still_differ_a_little():
    a, b = counts("hits asked", [[0, 5]] * 100), counts("hits asked", [[0, 9]] * 100)
    found = paired(RATE, a, b)
    assert (found.difference, found.p_value) == (0, 1)
    assert (found.low, found.high) == (-wilson(0, 100)[1], wilson(0, 100)[1])


def test_a_difference_that_rests_on_one_image_is_not_significant():
    rows = [[0, 0]] * 30
    assert paired(RATE, counts("hits asked", [[9, 9], *rows]), counts("hits asked", [[0, 9], *rows])).p_value == 1


def test_an_undefined_value_cannot_be_tested():
    assert paired(RATE, counts("hits asked", [[0, 0]] * 3), counts("hits asked", [[1, 2]] * 3)) is None


def test_different_images_are_refused():
    a, b = counts("hits asked", [[0, 1]] * 3), counts("hits asked", [[0, 1]] * 4)
    with pytest.raises(ValueError, match="same clusters"):
        paired_test(RATE, a, b, bootstrap_draws(3, 10), swap_draws(3, 10))


def test_a_difference_of_the_smallest_detectable_size_is_found_in_four_of_five_cases():
    rng = np.random.default_rng(1)

    def pairs_of(p_a, p_b):
        for _ in range(400):
            yield [counts("hits asked", [[hits, 10] for hits in rng.binomial(10, p, size=200)]) for p in (p_a, p_b)]

    detectable = np.mean([paired(RATE, *pair, 500).smallest_detectable for pair in pairs_of(0.5, 0.5)])
    assert detectable == pytest.approx(2.8 * math.sqrt(2 * 0.25 / 2000), rel=0.05)
    found = [paired(RATE, *pair, 500).p_value < 0.05 for pair in pairs_of(0.5, 0.5 + detectable)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_holm_equals_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []


# Simulation: do 95 % intervals cover in 95 %, and do tests reject in 5 % of cases?


def answers(rng, shape, p, icc, alike):
    """Binary answers of two equally good models, bool [2, simulations, images, items].

    Two answers of one model on one image correlate by exactly `icc`: each item copies the image's own value with
    probability sqrt(icc). The two models' image values, and their item values, correlate by `alike`.
    """

    def two_models(shape):
        shared, own = rng.random(shape) < p, rng.random((2, *shape)) < p
        return np.where(rng.random((2, *shape)) < math.sqrt(alike), shared, own)

    image, item = two_models((*shape[:2], 1)), two_models(shape)
    return np.where(rng.random((2, *shape)) < math.sqrt(icc), image, item)


def proportions(rng, simulations, images, icc):
    """About 14 yes/no items per image, between 1 and 50, 80 % of them hits."""
    sizes = np.clip(rng.negative_binomial(3, 3 / 14, size=images) + 1, 1, 50)
    hits = answers(rng, (simulations, images, sizes.max()), 0.8, icc, 0.4) & (np.arange(sizes.max()) < sizes[:, None])
    asked = np.broadcast_to(sizes, (2, simulations, images))
    return RATE, "hits asked", np.stack([hits.sum(axis=-1), asked], axis=-1), 0.8


def mentions(rng, simulations, images, icc, longer=1):
    """Captions of 1 to about 15 mentions, 15 % of them hallucinated; the second model says `longer` times as much."""
    asked = rng.poisson(5, size=(2, simulations, images)) + 1
    asked[1] *= longer
    hits = answers(rng, (simulations, images, asked.max()), 0.15, icc, 0.4) & (
        np.arange(asked.max()) < asked[..., None]
    )
    return RATE, "hits asked", np.stack([hits.sum(axis=-1), asked], axis=-1), 0.15


def f1_scores(rng, simulations, images, icc):
    """About 14 yes/no questions per image, 60 % with truth "No", 80 % of the answers right."""
    sizes = np.clip(rng.negative_binomial(3, 3 / 14, size=images) + 1, 1, 50)
    asked = np.arange(sizes.max()) < sizes[:, None]
    truth = (rng.random((simulations, images, sizes.max())) < 0.6) & asked
    right = answers(rng, truth.shape, 0.8, icc, 0.4)
    said = np.where(right, truth, ~truth) & asked
    columns = ((said & truth).sum(axis=-1), said.sum(axis=-1), np.broadcast_to(truth.sum(axis=-1), said.shape[:-1]))
    return F1, "right answered truth", np.stack(columns, axis=-1), 2 * 0.48 / (0.48 + 0.08 + 0.6)


BATCH = 100
"""Simulations drawn at once, for the sake of memory."""
KINDS = {"clustered proportion": proportions, "ratio of mentions": mentions, "F1": f1_scores}


@cache
def simulate(kind, icc, images, simulations, **options):
    """(share of intervals that hold the true value, of paired intervals that hold 0, of tests with p <= 0.05)."""
    rng = np.random.default_rng([images, round(100 * icc), list(KINDS).index(kind), 7])
    covered, covered_zero, rejected = [], [], []
    for _ in range(simulations // BATCH):
        metric, names, pairs, true = KINDS[kind](rng, BATCH, images, icc, **options)
        for a, b in zip(*pairs, strict=True):
            a, b = counts(names, a), counts(names, b)
            own, test = bounds(metric, a, 1000), paired(metric, a, b, 1000)
            covered.append(own.low <= true <= own.high)
            covered_zero.append(test.low <= 0 <= test.high)
            rejected.append(test.p_value <= 0.05)
    return np.mean(covered), np.mean(covered_zero), np.mean(rejected)


SIZES = [pytest.param(200, 1000, id="200 images"), pytest.param(1000, 1000, id="1000 images", marks=pytest.mark.slow)]


@pytest.mark.parametrize(("images", "simulations"), SIZES)
@pytest.mark.parametrize("icc", [0, 0.1, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_95_percent_intervals_cover_in_93_to_97_percent_of_simulations(kind, icc, images, simulations):
    own, difference, _ = simulate(kind, icc, images, simulations)
    assert 0.93 <= own <= 0.97
    assert 0.93 <= difference <= 0.97


@pytest.mark.parametrize(("images", "simulations"), SIZES)
@pytest.mark.parametrize("icc", [0, 0.1, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_equally_good_models_are_told_apart_in_3_to_7_percent_of_simulations(kind, icc, images, simulations):
    assert 0.03 <= simulate(kind, icc, images, simulations)[2] <= 0.07


def test_a_model_that_says_three_times_as_much_at_the_same_rate_is_not_found_worse():
    # Swapping raw counts instead of contributions rejects in about 8 % of these simulations.
    assert 0.03 <= simulate("ratio of mentions", 0, 200, 1000, longer=3)[2] <= 0.07


def test_ignoring_images_would_miss_the_true_value_far_too_often():
    """The simulation has teeth: intervals that take items as independent fail it."""
    _, _, pairs, true = proportions(np.random.default_rng(0), 400, 200, 0.3)
    naive = [wilson(*rows.sum(axis=0)) for rows in pairs[0]]
    assert np.mean([low <= true <= high for low, high in naive]) < 0.75


def test_binary_items_on_images_of_their_own_keep_the_error_rates_too():
    rng = np.random.default_rng(2)
    hits = answers(rng, (1000, 300, 1), 0.3, 0, 0.4)
    pairs = np.stack([hits[..., 0], np.ones(hits.shape[:-1])], axis=-1)
    own = [bounds(RATE, counts("hits asked", rows)) for rows in pairs[0]]
    assert 0.93 <= np.mean([found.low <= 0.3 <= found.high for found in own]) <= 0.97
    p_values = [
        paired(RATE, counts("hits asked", a), counts("hits asked", b), 200).p_value for a, b in zip(*pairs, strict=True)
    ]
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.06  # an exact test keeps below its level
