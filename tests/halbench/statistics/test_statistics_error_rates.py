"""By simulation: do 95 % intervals cover in 95 %, and do tests reject in 5 % of cases?"""

import math
from functools import cache

import numpy as np
import pytest
from image_counts import F1, RATE, bounds, counts, paired

from halbench.statistics.intervals import wilson

pytestmark = pytest.mark.simulation


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
    answered = np.where(right, truth, ~truth) & asked
    columns = (
        (answered & truth).sum(axis=-1),
        answered.sum(axis=-1),
        np.broadcast_to(truth.sum(axis=-1), answered.shape[:-1]),
    )
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


CASES = [
    pytest.param(
        icc, images, id=f"{icc}-{images} images", marks=() if (icc, images) == (0.1, 200) else pytest.mark.slow
    )
    for icc in (0, 0.1, 0.3)
    for images in (200, 1000)
]


@pytest.mark.parametrize(("icc", "images"), CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_95_percent_intervals_cover_in_93_to_97_percent_of_simulations(kind, icc, images):
    own, difference, _ = simulate(kind, icc, images, 1000)
    assert 0.93 <= own <= 0.97
    assert 0.93 <= difference <= 0.97


@pytest.mark.parametrize(("icc", "images"), CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_equally_good_models_are_distinguished_in_3_to_7_percent_of_simulations(kind, icc, images):
    assert 0.03 <= simulate(kind, icc, images, 1000)[2] <= 0.07


def test_a_model_that_says_three_times_as_much_at_the_same_rate_is_not_judged_worse():
    # Swapping raw counts instead of contributions rejects in about 8 % of these simulations.
    assert 0.03 <= simulate("ratio of mentions", 0, 200, 1000, longer=3)[2] <= 0.07


def test_ignoring_images_would_miss_the_true_value_far_too_often():
    """The simulation has teeth: intervals that take items as independent fail it."""
    _, _, pairs, true = proportions(np.random.default_rng(0), 400, 200, 0.3)
    naive = [wilson(*rows.sum(axis=0)) for rows in pairs[0]]
    assert np.mean([low <= true <= high for low, high in naive]) < 0.75


@pytest.mark.slow
def test_binary_items_on_images_of_their_own_keep_the_error_rates_too():
    rng = np.random.default_rng(2)
    hits = answers(rng, (1000, 300, 1), 0.3, 0, 0.4)
    pairs = np.stack([hits[..., 0], np.ones(hits.shape[:-1])], axis=-1)
    own = [bounds(RATE, counts("hits asked", rows)) for rows in pairs[0]]
    assert 0.93 <= np.mean([interval.low <= 0.3 <= interval.high for interval in own]) <= 0.97
    p_values = [
        paired(RATE, counts("hits asked", a), counts("hits asked", b), 200).p_value for a, b in zip(*pairs, strict=True)
    ]
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.06  # an exact test keeps below its level
