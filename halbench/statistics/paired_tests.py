"""Paired differences of two runs over the same items, with the cluster as the unit that is resampled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import scipy  # scipy.stats is imported at its first use: it takes a second

from halbench.statistics.clusters import (
    ClusterCounts,
    Floats,
    Resamples,
    contributions,
    estimate,
    evaluate,
    is_binary,
    ratio_columns,
    resampled,
    varies,
)
from halbench.statistics.intervals import bounds, wilson
from halbench.statistics.resampling import LEVEL
from halbench.types import Metric

POWER = 0.80
"""Power of the smallest detectable difference, as is common in planning sample sizes."""


@dataclass(frozen=True)
class PairedTest:
    """Difference B - A on the same items, in the metric's unit.

    low, high: None if a rating or length does not vary, so that its spread is unknown.
    smallest_detectable: the smallest true difference detectable on these images with 80 % power; None if nothing varies.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float
    method: str
    n_clusters: int
    smallest_detectable: float | None


def paired_test(
    metric: Metric,
    a: ClusterCounts,
    b: ClusterCounts,
    resamples: Resamples,
    swaps: Resamples,
    level: float = LEVEL,
) -> PairedTest | None:
    """Difference B - A of two runs over the same items; None if either value is undefined.

    The interval is the percentile bootstrap over images (`bounds`), with the same weights for both runs. The p-value is
    two-sided: exact McNemar for one binary item per image; Wilcoxon signed-rank by random signs for one rating per image
    (zero differences are ranked, then left out: Pratt 1959; ties share their mean rank); otherwise a permutation test that
    swaps A and B within images.

    It swaps the images' contributions to the two values (jackknife pseudo-values), not their raw counts: swapping counts
    would also mix the denominators, and would reject in 7 to 12 % of cases at a nominal 5 % if one of two equally good
    models says two to four times as much. With contributions it rejects in 5 %.
    """
    if a.clusters != b.clusters or a.names != b.names:
        raise ValueError("a paired test needs the same clusters and counts on both sides")
    value_a, value_b = estimate(metric, a), estimate(metric, b)
    if value_a is None or value_b is None:
        return None
    difference, n = value_b - value_a, len(a.clusters)
    p_value, method = _p_value(metric, a, b, swaps)
    replicates = evaluate(metric, b.names, resampled(b, resamples))
    replicates = replicates - evaluate(metric, a.names, resampled(a, resamples))
    low: float | None
    high: float | None
    low = high = detectable = None
    if varies(replicates):
        low, high = bounds(replicates, n, level)
        z = NormalDist().inv_cdf((1 + level) / 2) + NormalDist().inv_cdf(POWER)
        detectable = z * float(np.nanstd(replicates)) * math.sqrt(n / (n - 1))
    elif np.array_equal(a.matrix, b.matrix):
        low, high, method = 0.0, 0.0, "identical counts"
    elif metric.unit == "fraction":
        # All replicates are equal: as in `interval`, each image counts as one observation.
        unseen = wilson(0, n, level)[1]
        low, high = max(-1.0, difference - unseen), min(1.0, difference + unseen)
    return PairedTest(difference, low, high, p_value, method, n, detectable)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-adjusted p-values, in the given order (Holm 1979)."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def resampling_footnote(p_values: Sequence[float | None], n_resamples: int) -> str | None:
    """Footnote for p-values limited by the number of resamples; None if there are none."""
    tested = [p for p in p_values if p is not None]
    least = 1 / (n_resamples + 1)
    if not any(math.isclose(p, least) for p in tested):
        return None
    return (
        f"In rows where none of {n_resamples} random swaps was as extreme as the observed difference, p-values are at most "
        f"{least:.2g} ({min(1.0, len(tested) * least):.2g} after Holm adjustment). Raise --resamples for smaller p-values."
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value of McNemar's test. only_a, only_b: items that are positive in one run only."""
    n = only_a + only_b
    return float(scipy.stats.binomtest(min(only_a, only_b), n).pvalue) if n else 1.0


def _p_value(metric: Metric, a: ClusterCounts, b: ClusterCounts, swaps: Resamples) -> tuple[float, str]:
    """(p-value, name of the test) for the hypothesis that two runs on the same clusters do not differ."""
    numerator_a, denominator_a = ratio_columns(metric, a)
    numerator_b, denominator_b = ratio_columns(metric, b)
    if is_binary(denominator_a) and np.array_equal(denominator_a, denominator_b):
        if is_binary(numerator_a) and is_binary(numerator_b):
            change = numerator_b - numerator_a
            return mcnemar(int(np.sum(change < 0)), int(np.sum(change > 0))), "McNemar"
        if metric.unit == "rating":
            change = numerator_b - numerator_a
            return _sign_flips(np.sign(change) * scipy.stats.rankdata(np.abs(change)), swaps), "Wilcoxon"
    return _sign_flips(contributions(metric, b) - contributions(metric, a), swaps), "permutation"


def _sign_flips(differences: Floats, swaps: Resamples) -> float:
    """p-value of a sum at least as far from 0 as the observed one if each cluster's sign is a coin toss.

    1 for a value that depends on a single cluster (undefined without it), which cannot be tested.
    """
    if np.isnan(differences).any():
        return 1.0
    observed = differences.sum()
    tossed = observed - 2 * swaps.sums(differences[:, None])[:, 0]
    hits = np.count_nonzero(np.abs(tossed) >= abs(observed) - 1e-9 * np.abs(differences).sum())
    return float((1 + hits) / (1 + len(tossed)))
