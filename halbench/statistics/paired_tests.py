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
from halbench.statistics.intervals import bounds
from halbench.statistics.resampling import LEVEL
from halbench.types import Metric

POWER = 0.80
"""Power of the smallest detectable difference, as is common in planning sample sizes."""

UNSEEN = 0.25
"""Weight of an unseen change of a whole image in the size of changes. Chosen by simulation: without it, a gate whose true
worsening equals the margin passes in up to 4.3 % of cases where images have several items; with a weight of 1 it passes too
seldom where nothing is wrong (tests/halbench/comparing/test_gating_error_rates.py)."""


@dataclass(frozen=True)
class PairedTest:
    """Difference B - A on the same items, in the metric's unit.

    low, high: None if a rating or length varies neither between images nor between runs, so that its spread is unknown.
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

    The interval is the score interval for one binary item per image (`score_bounds`, Tango 1998); otherwise the percentile
    bootstrap over images (`bounds`), with the same weights for both runs, widened to the score interval. The bootstrap alone
    is too narrow where the runs differ on few images: two equal runs of 20 images would have the difference 0 for certain.
    The interval contains 0 wherever the p-value is above 1 - level.

    The p-value is two-sided: exact McNemar for one binary item per image; Wilcoxon signed-rank by random signs for one
    rating per image (zero differences are ranked, then left out: Pratt 1959; ties share their mean rank); otherwise a
    permutation test that swaps A and B within images.

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
    changes, items = _changes(metric, a, b)
    p_value, method = _p_value(metric, changes, items is not None, swaps)
    replicates = evaluate(metric, b.names, resampled(b, resamples))
    replicates = replicates - evaluate(metric, a.names, resampled(a, resamples))
    detectable = None
    if varies(replicates):
        z = NormalDist().inv_cdf((1 + level) / 2) + NormalDist().inv_cdf(POWER)
        detectable = z * float(np.nanstd(replicates)) * math.sqrt(n / (n - 1))
    whole = 1.0 if metric.unit == "fraction" else float(np.nan_to_num(np.ptp(contributions(metric, a))))
    ends: list[float] = []
    if method == "McNemar":
        ends += score_bounds(changes, items or n, whole, level)
    elif varies(replicates):
        ends += bounds(replicates, n, level)
        if np.isfinite(changes).all():
            ends += score_bounds(changes, items or n, whole, level)
    elif whole:
        # All replicates are equal: as in `interval`, each image counts as one observation.
        ends += [difference + end for end in score_bounds(np.zeros(n), n, whole, level)]
    if not ends:
        return PairedTest(difference, None, None, p_value, method, n, detectable)
    if p_value > 1 - level:
        ends.append(0.0)
    low, high = min(ends), max(ends)
    if metric.unit == "fraction":
        low, high = max(low, -1.0), min(high, 1.0)
    return PairedTest(difference, low, high, p_value, method, n, detectable)


def score_bounds(changes: Floats, n: int, whole: float = 1.0, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of the mean change of n images (Tango 1998, for changes of -1, 0 and 1).

    Tango's interval holds every true difference that a z-test with the variance under that difference does not reject, so
    that it has a width even if nothing changed: 3.8 / n to both sides. Changes of other sizes are counted in units of the
    size that dominates their skewness, so that a few large ones weigh as few. That size includes one change of a whole image
    (`whole`) with weight `UNSEEN`, since the largest changes may not be among these images.
    """
    squares = float((changes**2).sum())
    unit = whole
    if squares:
        cubes = float((np.abs(changes) ** 3).sum())
        unit = (UNSEEN * whole**3 + cubes) / (UNSEEN * whole**2 + squares)
    net = float(changes.sum()) / unit
    total = max(squares / unit**2, abs(net))
    gained, lost = (total + net) / 2, (total - net) / 2
    return -unit * _largest_difference(lost, gained, n, level), unit * _largest_difference(gained, lost, n, level)


def _largest_difference(gained: float, lost: float, n: int, level: float) -> float:
    """Upper end of Tango's interval for (gained - lost) / n."""
    z = NormalDist().inv_cdf((1 + level) / 2)

    def excess(true: float) -> float:
        """Squared distance of the observed from a true difference, less z squared times its variance under the latter."""
        b = (2 * n - gained + lost) * true - gained - lost
        losing = (math.sqrt(max(b * b + 8 * n * lost * true * (1 - true), 0.0)) - b) / (4 * n)
        return (gained - lost - n * true) ** 2 - z * z * n * (2 * losing + true * (1 - true))

    start = (gained - lost) / n + 1e-12
    return float(scipy.optimize.brentq(excess, start, 1.0)) if start < 1 and excess(1.0) > 0 else 1.0


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


def _changes(metric: Metric, a: ClusterCounts, b: ClusterCounts) -> tuple[Floats, int | None]:
    """(change of each image, number of items): the change of its item, if every image has one at most, the same one in both
    runs; otherwise of its contributions to the two values, and None."""
    (numerator_a, asked), (numerator_b, asked_b) = ratio_columns(metric, a), ratio_columns(metric, b)
    if is_binary(asked) and np.array_equal(asked, asked_b):
        return numerator_b - numerator_a, int(asked.sum())
    return contributions(metric, b) - contributions(metric, a), None


def _p_value(metric: Metric, changes: Floats, one_item_each: bool, swaps: Resamples) -> tuple[float, str]:
    """(p-value, name of the test) for the hypothesis that two runs on the same clusters do not differ."""
    if one_item_each and metric.unit == "fraction" and is_binary(np.abs(changes)):
        return mcnemar(int(np.sum(changes < 0)), int(np.sum(changes > 0))), "McNemar"
    if one_item_each and metric.unit == "rating":
        return _sign_flips(np.sign(changes) * scipy.stats.rankdata(np.abs(changes)), swaps), "Wilcoxon"
    return _sign_flips(changes, swaps), "permutation"


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
