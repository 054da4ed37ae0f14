"""How often a gate passes a run that is worse by exactly the margin (2.5 % nominally), and one that is not worse."""

import numpy as np
import pytest
from image_counts import RATE, counts, paired
from scipy.stats import binom

from halbench.comparing.comparison import Row
from halbench.comparing.gating import verdict_of
from halbench.statistics.paired_tests import mcnemar, score_bounds

pytestmark = pytest.mark.simulation

CASES = [(100, 0.03), (300, 0.01), (1004, 0.005)]
BASE_RATES = (0, 0.01, 0.05, 0.2)


def verdict(test, margin, images):
    row = Row("all", "hal", 0, 0, test[0], test[1], test[2], 1, "", None, images, images, 0, "lower", "fraction")
    return verdict_of(row, margin, falling=False)[0]


def one_item_rates(images, base, margin, worsening):
    """Exact probabilities of each verdict for one binary item per image; the two runs err independently of each other."""
    only_b, only_a = (1 - base) * (base + worsening), base * (1 - base - worsening)
    rates = {"pass": 0.0, "regression": 0.0, "inconclusive": 0.0}
    for gained in range(images + 1):
        first = binom.pmf(gained, images, only_b)
        if first < 1e-6:
            continue
        for lost, second in enumerate(
            binom.pmf(np.arange(images - gained + 1), images - gained, only_a / (1 - only_b))
        ):
            if (chance := float(first * second)) < 1e-7:
                continue
            low, high = score_bounds(np.array([1.0] * gained + [-1.0] * lost), images)
            if mcnemar(lost, gained) > 0.05:
                low, high = min(low, 0.0), max(high, 0.0)
            rates[verdict(((gained - lost) / images, low, high), margin, images)] += chance
    return rates


def mentions(rng, images, base, worsening):
    """Captions of 1 to about 15 mentions. 30 % of them differ between the runs; the second makes up one to three further
    mentions in some."""
    asked = 1 + rng.poisson(5, size=(2, images))
    asked[1] = np.where(rng.random(images) < 0.7, asked[0], asked[1])
    hits = rng.binomial(asked, base)
    hits[1] = np.where((asked[0] == asked[1]) & (rng.random(images) < 0.7), hits[0], hits[1])
    size = np.minimum(rng.choice([1, 2, 3], images, p=[0.6, 0.3, 0.1]), asked[1])
    worse = rng.random(images) < worsening / (1 - base) * 6 / 1.455  # 1.455 of the mean 6 mentions are made up
    hits[1] += np.where(worse, rng.hypergeometric(asked[1] - hits[1], hits[1], size), 0)
    return hits, asked


def questions(rng, images, base, worsening):
    """Six yes/no questions on each image; errors on one image go together, and half of a worse image's answers are wrong."""
    shape, bad = (2, images, 6), rng.random((images, 1)) < base
    hits = np.where(rng.random(shape) < 0.55, bad, rng.random(shape) < base)
    hits[1] = np.where(rng.random(shape[1:]) < 0.8, hits[0], hits[1])
    worse = rng.random((images, 1)) < 2 * worsening / (1 - base)
    hits[1] |= worse & (rng.random(shape[1:]) < 0.5)
    return hits.sum(axis=-1), np.full(shape[:2], 6)


def clustered_rates(kind, images, base, margin, worsening, simulations):
    """Share of each verdict in simulations of several items per image."""
    rng = np.random.default_rng([images, round(1000 * base), round(1000 * worsening)])
    rates = {"pass": 0.0, "regression": 0.0, "inconclusive": 0.0}
    for _ in range(simulations):
        a, b = (
            counts("hits asked", np.stack(rows, axis=-1))
            for rows in zip(*kind(rng, images, base, worsening), strict=True)
        )
        test = paired(RATE, a, b, 1000)
        rates[verdict((test.difference, test.low, test.high), margin, images)] += 1 / simulations
    return rates


def quick(cases, first):
    return [pytest.param(*case, marks=() if case == first else pytest.mark.slow) for case in cases]


@pytest.mark.parametrize(
    ("images", "margin", "base"),
    quick([(*case, base) for case in CASES for base in BASE_RATES], (100, 0.03, 0)),
)
def test_a_run_worse_by_the_margin_passes_in_at_most_3_percent_of_one_item_samples(images, margin, base):
    assert one_item_rates(images, base, margin, worsening=margin)["pass"] <= 0.03


@pytest.mark.slow
@pytest.mark.parametrize(("images", "margin", "base"), [(*case, base) for case in CASES for base in BASE_RATES])
def test_an_equally_good_run_is_never_called_a_regression_in_more_than_2_percent_of_one_item_samples(
    images, margin, base
):
    assert one_item_rates(images, base, margin, worsening=0)["regression"] <= 0.02


@pytest.mark.parametrize(
    ("kind", "images", "margin", "base"),
    quick(
        [(kind, *case, base) for kind in (mentions, questions) for case in CASES for base in BASE_RATES],
        (mentions, 100, 0.03, 0.05),
    ),
)
def test_a_run_worse_by_the_margin_passes_in_about_3_5_percent_at_most_of_samples_with_several_items(
    kind, images, margin, base
):
    # The standard error of 1000 simulations is 0.5 points at 2.5 %.
    quick_case = (images, base) == (100, 0.05) and kind is mentions
    rates = clustered_rates(kind, images, base, margin, margin, 200 if quick_case else 1000)
    assert rates["pass"] <= 0.035 + 0.005


def whole_captions(rng, images, base, worsening):
    """Captions in some of which every mention turns wrong, from the first to the last."""
    hits, asked = mentions(rng, images, base, 0)
    hits[1] = np.where(rng.random(images) < worsening / (1 - base), asked[1], hits[1])
    return hits, asked


@pytest.mark.slow
@pytest.mark.parametrize(("images", "margin", "base"), [(100, 0.03, 0.05), (300, 0.01, 0.01), (1004, 0.005, 0.01)])
def test_where_whole_captions_turn_wrong_a_run_worse_by_the_margin_passes_in_about_6_percent(images, margin, base):
    rates = clustered_rates(whole_captions, images, base, margin, margin, 1000)
    assert rates["pass"] <= 0.06 + 0.015  # two standard errors
