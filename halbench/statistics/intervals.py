"""Confidence intervals of a metric over clusters."""

from dataclasses import dataclass
from math import ceil, floor, sqrt
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
from halbench.statistics.resampling import LEVEL
from halbench.types import Metric


@dataclass(frozen=True)
class Interval:
    """A confidence interval. method: "bootstrap", "wilson" (one binary item per cluster) or "wilson over images" (nothing
    varies between images)."""

    low: float
    high: float
    method: str


def wilson(successes: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927); within 0..1 even for 0 or n successes. For a fractional number of
    successes, the bounds of the two whole numbers around it."""
    low, high = (
        scipy.stats.binomtest(round_(successes), int(n)).proportion_ci(level, "wilson") for round_ in (floor, ceil)
    )
    return float(low.low), float(high.high)


def interval(metric: Metric, counts: ClusterCounts, resamples: Resamples, level: float = LEVEL) -> Interval | None:
    """Confidence interval over images; None if the value is undefined or its spread is unknown.

    A fraction of one binary item per image: Wilson. Otherwise the bootstrap over images on summed counts (`_bca`). If all
    replicates are equal (no hallucination anywhere, only one image), resampling would claim certainty: a fraction then gets
    the Wilson interval that counts each image as one observation, as if all items of an image were right or wrong together;
    0 of n images gives an upper bound of about 3.8 / n. A rating or length without variation gets no interval.
    """
    value = estimate(metric, counts)
    if value is None:
        return None
    numerator, denominator = ratio_columns(metric, counts)
    proportion = metric.unit == "fraction" and is_binary(numerator) and is_binary(denominator)
    if proportion and np.all(numerator <= denominator):
        return Interval(*wilson(numerator.sum(), denominator.sum(), level), "wilson")
    replicates = evaluate(metric, counts.names, resampled(counts, resamples))
    if varies(replicates):
        return Interval(*_bca(replicates, value, contributions(metric, counts), level), "bootstrap")
    if metric.unit != "fraction" or not 0 <= value <= 1:
        return None
    images = int(np.count_nonzero(denominator)) or len(counts.clusters)
    return Interval(*wilson(value * images, images, level), "wilson over images")


def _bca(replicates: Floats, value: float, contributions: Floats, level: float) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval (Efron 1987).

    The percentile interval misses too often on one side when hallucinations are rare: in 4.5 % of cases from above at a
    rate of 5 % on 300 captions, against 3 % here; at 20 images its coverage is 90 %, against 94 %. For a difference of two
    runs, which is nearly symmetric, the correction only adds noise (coverage at 20 images 87 to 95 %, percentiles 93 to
    95 %).
    """
    normal = NormalDist()
    defined = replicates[np.isfinite(replicates)]
    below = np.count_nonzero(defined < value) + np.count_nonzero(defined == value) / 2
    bias = normal.inv_cdf((below + 0.5) / (len(defined) + 1))
    deviations = contributions - contributions.mean()
    # Undefined if a single cluster defines the value; then there is no skewness to correct for.
    skewness = float(np.nan_to_num((deviations**3).sum() / (deviations**2).sum() ** 1.5)) / 6
    return bounds(defined, len(contributions), level, bias, skewness)


def bounds(
    replicates: Floats, n_clusters: int, level: float, bias: float = 0.0, skewness: float = 0.0
) -> tuple[float, float]:
    """Lower and upper percentile of bootstrap replicates, widened for few clusters.

    Plain percentiles are too narrow by the factor sqrt((n - 1) / n), and because they use the normal distribution instead
    of Student's t (Hesterberg 2015, "What teachers should know about the bootstrap").
    """
    normal, df = NormalDist(), n_clusters - 1
    t = float(scipy.stats.t.ppf((1 + level) / 2, df))
    ends = (bias - t * sqrt(n_clusters / df), bias + t * sqrt(n_clusters / df))
    percentiles = [normal.cdf(bias + end / max(1 - skewness * end, 1e-9)) for end in ends]
    low, high = np.nanquantile(replicates, percentiles)
    return float(low), float(high)
