"""Counts summed per cluster, and random draws of clusters.

Items on one image are not independent (AMBER asks about 14 questions per image), so intervals and tests work on counts
summed per cluster, which is the image unless a suite chooses otherwise (Item.cluster). One row per cluster, one column per
count:

    ClusterCounts(names=("hallucinated", "nouns"), matrix=[[1, 6], [0, 4], ...], clusters=("AMBER_1.jpg", ...))

A value of 0/0 is undefined and returned as None; replicates and swaps of 0/0 are left out. Random draws depend only on
(seed, number of clusters): the result is the same in any order, and all metrics share the draws.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from halbench.statistics.resampling import N_RESAMPLES
from halbench.types import Metric, Score

Floats = NDArray[np.float64]
DRAWN_AT_ONCE = 500_000
"""Cluster draws in memory as int64 at one time."""


@dataclass(frozen=True, eq=False)
class ClusterCounts:
    """Counts summed per cluster: matrix [clusters, names]."""

    names: tuple[str, ...]
    matrix: Floats
    clusters: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Resamples:
    """How often each cluster is counted in each replicate: weights uint8 [n_resamples, clusters]."""

    weights: NDArray[np.uint8]

    def sums(self, matrix: Floats) -> Floats:
        """Weighted sums over clusters, exact in float64: matrix [clusters, K] -> [n_resamples, K]."""
        # In blocks that BLAS multiplies in one thread: its thread pool takes ten times as long on cores shared with other
        # work.
        block = max(1, min(25_000, 600_000 // max(matrix.shape[1], 1)) // len(matrix))
        rows = range(0, len(self.weights), block)
        return np.concatenate([self.weights[row : row + block].astype(np.float64) @ matrix for row in rows])


def count_names(scores: Iterable[Score]) -> tuple[str, ...]:
    """Names of all counts in any of the scores, in order of appearance."""
    return tuple(dict.fromkeys(name for score in scores for name in score.counts))


def cluster_sums(scores: Sequence[Score], columns: Sequence[str]) -> ClusterCounts:
    """Counts per cluster of the scored responses, clusters sorted; a count that a score lacks is 0."""
    scored = [score for score in scores if score.state == "scored"]
    clusters = tuple(sorted({score.cluster for score in scored}))
    row_of = {cluster: row for row, cluster in enumerate(clusters)}
    matrix = np.zeros((len(clusters), len(columns)))
    if scored:
        counts = np.array([[score.counts.get(name, 0.0) for name in columns] for score in scored], dtype=np.float64)
        np.add.at(matrix, [row_of[score.cluster] for score in scored], counts)
    return ClusterCounts(tuple(columns), matrix, clusters)


@lru_cache(maxsize=16)
def bootstrap_draws(n_clusters: int, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Resamples:
    """Multinomial weights: each replicate draws n_clusters clusters with replacement."""
    rng = np.random.default_rng([seed, n_clusters, 0])
    # uint8 is enough: the chance that a cluster is drawn more than 255 times is below 1e-500.
    weights = np.empty((n_resamples, n_clusters), dtype=np.uint8)
    block = max(1, DRAWN_AT_ONCE // n_clusters)
    for row in range(0, n_resamples, block):
        part = weights[row : row + block]
        drawn = rng.integers(0, n_clusters, size=part.shape) + n_clusters * np.arange(len(part))[:, None]
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
    return Resamples(weights)


@lru_cache(maxsize=16)
def swap_draws(n_clusters: int, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Resamples:
    """Coin tosses: 1 if a replicate swaps the two runs on a cluster."""
    rng = np.random.default_rng([seed, n_clusters, 1])
    coins = rng.integers(0, 256, size=(n_resamples, -(-n_clusters // 8)), dtype=np.uint8)
    return Resamples(np.unpackbits(coins, axis=1, count=n_clusters))


@lru_cache(maxsize=4)
def resampled(counts: ClusterCounts, resamples: Resamples) -> Floats:
    """Summed counts of each replicate; cached, because all metrics of a group are formulas over the same sums."""
    return resamples.sums(counts.matrix)


def evaluate(metric: Metric, names: Sequence[str], sums: Floats) -> Floats:
    """The metric at each row of summed counts [..., K] -> [...]; nan where undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = metric.value({name: sums[..., k] for k, name in enumerate(names)})
    return np.asarray(np.where(np.isfinite(values), values, np.nan), dtype=np.float64)


def estimate(metric: Metric, counts: ClusterCounts) -> float | None:
    """The metric over all clusters; None if undefined."""
    value = float(evaluate(metric, counts.names, counts.matrix.sum(axis=0)))
    return None if math.isnan(value) else value


def contributions(metric: Metric, counts: ClusterCounts) -> Floats:
    """Jackknife pseudo-values: each cluster's contribution to the value; their mean is nearly the value."""
    n, totals = len(counts.clusters), counts.matrix.sum(axis=0)
    whole, without = evaluate(metric, counts.names, totals), evaluate(metric, counts.names, totals - counts.matrix)
    return n * whole - (n - 1) * without


def ratio_columns(metric: Metric, counts: ClusterCounts) -> tuple[Floats, Floats]:
    """Numerator and denominator per cluster; all nan for a metric that is not a plain ratio of known counts."""
    if metric.ratio is None or not set(metric.ratio) <= set(counts.names):
        unknown = np.full(len(counts.clusters), np.nan)
        return unknown, unknown
    numerator, denominator = (counts.matrix[:, counts.names.index(name)] for name in metric.ratio)
    return numerator, denominator


def is_binary(column: Floats) -> bool:
    return bool(np.all((column == 0) | (column == 1)))


def varies(replicates: Floats) -> bool:
    defined = replicates[np.isfinite(replicates)]
    return bool(defined.size) and float(np.ptp(defined)) > 1e-12
