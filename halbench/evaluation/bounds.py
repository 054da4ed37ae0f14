"""Between which values a number lies, whatever the answers without a score are worth.

A suite says what an answer can count at worst and at best (`Task.extremes`); the bounds are the metric's formula over the counts
of the scored answers and over these. MMHal-Bench with 95 of 96 ratings and 126 points: 126 / 96 = 1.31 if the last answer
is rated 0, 132 / 96 = 1.38 if it is rated 6.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from halbench import plugins
from halbench.evaluation.suite_contract import values_at
from halbench.statistics.clusters import Floats, count_names
from halbench.types import Extremes, Item, Metric, Score, Task


@dataclass(frozen=True, eq=False)
class Ends:
    """Summed counts [worst, best] of all items of a group, those without a score at their worst and at their best."""

    names: tuple[str, ...]
    sums: Floats


def ends(task: Task, scores: Sequence[Score], items: Sequence[Item]) -> Ends | None:
    """The ends between which the counts of these items lie. scores: of these items. None if all have a score, or if the suite
    names no extremes."""
    scored = [score for score in scores if score.state == "scored"]
    present = {score.item for score in scored}
    lacking = [item for item in items if item.id not in present]
    if not lacking or task.extremes is None:
        return None
    # What other answers count but the extremes leave out has no limit. Joint counts may fall on answers of any group.
    groups = {item.group for item in lacking}
    unlimited = {
        group: dict.fromkeys(count_names(s for s in scored if task.joint or s.group == group), math.nan)
        for group in groups
    }
    where = f"{plugins.source_line(task.extremes)}: extremes()"
    extremes = [plugins.checked(task.extremes(item), Extremes, where) for item in lacking]
    known = summed(score.counts for score in scored)
    others = [unlimited[item.group] for item in lacking]
    worst = summed([known, *({**other, **one.worst} for other, one in zip(others, extremes, strict=True))])
    best = summed([known, *({**other, **one.best} for other, one in zip(others, extremes, strict=True))])
    names = tuple(dict.fromkeys([*worst, *best]))
    return Ends(names, np.array([[part.get(name, 0.0) for name in names] for part in (worst, best)]))


def summed(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for row in rows:
        for name, count in row.items():
            sums[name] = sums.get(name, 0.0) + count
    return sums


def bounds(metric: Metric, group: Ends | None) -> tuple[float | None, float | None]:
    """(worst, best) value of a metric; None where it has no limit, for a metric without a direction and without ends."""
    if group is None or metric.better == "neither":
        return None, None
    try:
        worst, best = values_at(metric, group.names, group.sums).tolist()
    except KeyError:  # a count that no answer has
        return None, None
    return (None, None) if math.isnan(worst) or math.isnan(best) else (worst, best)
