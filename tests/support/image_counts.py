"""Metrics and counts per image for tests of intervals and paired tests."""

import numpy as np

from halbench.scoring_tools.ratios import ratio_metric
from halbench.statistics.clusters import ClusterCounts, bootstrap_draws, swap_draws
from halbench.statistics.intervals import Interval, interval
from halbench.statistics.paired_tests import PairedTest, paired_test
from halbench.types import Metric

RATE = ratio_metric("rate", "hits", "asked", "lower")
RATING = ratio_metric("score", "rating", "rated", "higher", unit="rating")
LENGTH = ratio_metric("length", "words", "captions", "neither", unit="words")
F1 = Metric("f1", lambda c: 2 * c["right"] / (c["answered"] + c["truth"]), "higher")


def counts(names, rows) -> ClusterCounts:
    """ClusterCounts of one row per image; names in one string."""
    matrix = np.array(rows, dtype=np.float64)
    return ClusterCounts(tuple(names.split()), matrix, tuple(map(str, range(len(matrix)))))


def bounds(metric: Metric, clusters: ClusterCounts, n_resamples: int = 2000) -> Interval | None:
    return interval(metric, clusters, bootstrap_draws(len(clusters.clusters), n_resamples))


def paired(metric: Metric, a: ClusterCounts, b: ClusterCounts, n_resamples: int = 2000) -> PairedTest | None:
    n = len(a.clusters)
    return paired_test(metric, a, b, bootstrap_draws(n, n_resamples), swap_draws(n, n_resamples))
