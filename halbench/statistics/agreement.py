"""Agreement of several ratings of the same items, and intervals of a mean of several replies per item.

Ratings are a matrix [items, raters] with nan where a rating is missing. Levels of measurement: "nominal" (labels), "ordinal"
(ranks, such as grades) and "interval" (amounts).
"""

from math import sqrt
from typing import Literal

import numpy as np

from halbench.statistics.clusters import Floats
from halbench.statistics.resampling import LEVEL, N_RESAMPLES

Level = Literal["nominal", "ordinal", "interval"]
DRAWN_AT_ONCE = 2_000_000


def krippendorff_alpha(ratings: Floats, level: Level) -> float | None:
    """Krippendorff's alpha (2011, "Computing Krippendorff's Alpha-Reliability"): 1 if all ratings of an item agree, 0 if they
    agree as by chance. None if it is undefined: no item has two ratings, or all ratings are equal."""
    values, places = np.unique(ratings[np.isfinite(ratings)], return_inverse=True)
    counts = np.zeros((len(ratings), len(values)))  # of each value in each item
    np.add.at(counts, (np.nonzero(np.isfinite(ratings))[0], places), 1)
    counts = counts[counts.sum(axis=1) >= 2]
    weights = 1 / (counts.sum(axis=1, keepdims=True) - 1)
    coincidences = (counts * weights).T @ counts - np.diag((counts * weights).sum(axis=0))
    totals = coincidences.sum(axis=1)
    n = totals.sum()
    if level == "nominal":
        differences = 1 - np.eye(len(values))
    elif level == "interval":
        differences = np.subtract.outer(values, values) ** 2
    else:  # number of ratings from one value to the other, half of those at both ends
        ranks = np.cumsum(totals) - totals / 2
        differences = np.subtract.outer(ranks, ranks) ** 2
    expected = float((np.outer(totals, totals) * differences).sum())
    return None if not expected else 1 - float((coincidences * differences).sum()) * float(n - 1) / expected


def identical_share(ratings: Floats) -> float | None:
    """Share of identical ratings among all pairs of ratings of the same item; None without such pairs."""
    pairs = agreeing = 0
    for row in ratings:
        rated = row[np.isfinite(row)]
        _, times = np.unique(rated, return_counts=True)
        pairs += len(rated) * (len(rated) - 1)
        agreeing += int((times * (times - 1)).sum())
    return agreeing / pairs if pairs else None


def two_level_interval(
    numerators: Floats, denominators: Floats, n_resamples: int = N_RESAMPLES, seed: int = 0, level: float = LEVEL
) -> tuple[float, float] | None:
    """Percentile interval of a ratio of summed means, by drawing clusters and, within each, replies again.

    numerators, denominators: [clusters, replies], nan where a reply has no score. It contains the variance between clusters
    and the judge's own. Drawing both counts a part of the judge's variance twice, so it errs on the wide side.
    """
    rows = np.flatnonzero(np.isfinite(numerators).any(axis=1))
    if len(rows) < 2:
        return None
    rng = np.random.default_rng([seed, len(rows), 2])
    values = []
    block = max(1, DRAWN_AT_ONCE // (len(rows) * numerators.shape[1]))
    for begin in range(0, n_resamples, block):
        drawn = rng.choice(rows, size=(min(block, n_resamples - begin), len(rows)))
        values.append(_drawn_ratios(numerators, denominators, drawn, rng))
    ratios = np.concatenate(values)
    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = np.nanquantile(ratios, tails) if np.isfinite(ratios).any() else (np.nan, np.nan)
    return None if np.isnan(low) else (float(low), float(high))


def judge_deviation(numerators: Floats, denominators: Floats, n_resamples: int = 2000, seed: int = 0) -> float | None:
    """Standard deviation of the ratio if only the judge replied again, to the same items; None without several replies.

    Drawing K replies again underestimates a variance by the factor (K - 1) / K, which is corrected.
    """
    rows = np.flatnonzero(np.isfinite(numerators).any(axis=1))
    replies = np.isfinite(numerators[rows]).sum(axis=1)
    if not len(rows) or replies.max() < 2:
        return None
    rng = np.random.default_rng([seed, len(rows), 3])
    drawn = np.broadcast_to(rows, (n_resamples, len(rows)))
    k = float(replies[replies > 1].mean())
    return float(np.nanstd(_drawn_ratios(numerators, denominators, drawn, rng))) * sqrt(k / (k - 1))


def _drawn_ratios(numerators: Floats, denominators: Floats, drawn: np.ndarray, rng: np.random.Generator) -> Floats:
    """The ratio for each row of drawn clusters, each with as many replies drawn as it has."""
    filled = np.isfinite(numerators)
    order = np.argsort(~filled, axis=1, kind="stable")  # replies with a score first
    tops, bottoms = (np.take_along_axis(np.nan_to_num(part), order, axis=1) for part in (numerators, denominators))
    n = filled.sum(axis=1)[drawn]
    top, bottom = np.zeros(drawn.shape), np.zeros(drawn.shape)
    for reply in range(numerators.shape[1]):
        chosen = (rng.random(drawn.shape) * n).astype(np.int64)
        top += np.where(reply < n, tops[drawn, chosen] / np.maximum(n, 1), 0)
        bottom += np.where(reply < n, bottoms[drawn, chosen] / np.maximum(n, 1), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = top.sum(axis=1) / bottom.sum(axis=1)
    return np.asarray(np.where(np.isfinite(ratios), ratios, np.nan), dtype=np.float64)
