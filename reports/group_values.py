"""The values of a run group: means over its seeds, and those of each seed."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from reports.main_metrics import MainMetric
from reports.run_groups import Panel, RunGroup


def value_cells(panel: Panel, group: RunGroup, metrics: Sequence[MainMetric]) -> dict[str, Any]:
    """The cells "KEY", "KEY low", "KEY high", "KEY lowest" and "KEY highest" of each metric: means over seeds of value and
    bounds, None if any seed has none, and the range over seeds, None for a single run."""
    cells: dict[str, Any] = {}
    for metric in metrics:
        seeds = [panel.values.get((run.name, metric.key), (None, None, None)) for run in group.runs]
        for suffix, numbers in zip(("", " low", " high"), zip(*seeds, strict=True), strict=True):
            known = [number for number in numbers if number is not None]
            cells[metric.key + suffix] = fmean(known) if len(known) == len(seeds) else None
        values = seed_values(panel, group, metric)
        has_range = len(group.runs) > 1 and cells[metric.key] is not None
        cells[f"{metric.key} lowest"] = min(values) if has_range else None
        cells[f"{metric.key} highest"] = max(values) if has_range else None
    return cells


def bound_cells(panel: Panel, group: RunGroup, metrics: Sequence[MainMetric]) -> dict[str, Any]:
    """The cells "KEY lower bound" and "KEY upper bound" of each metric: between which values a single run's lies, whatever its
    items without a score are worth; None where all have one, where there is no limit, and for a mean over seeds."""
    cells: dict[str, Any] = {}
    for metric in metrics:
        low, high = (
            panel.bounds.get((group.runs[0].name, metric.key), (None, None)) if len(group.runs) == 1 else (None, None)
        )
        cells |= {f"{metric.key} lower bound": low, f"{metric.key} upper bound": high}
    return cells


def seed_values(panel: Panel, group: RunGroup, metric: MainMetric) -> list[float]:
    """The value of each seed that has one; [] for a single run."""
    if len(group.runs) < 2:
        return []
    values = (panel.values.get((run.name, metric.key), (None,))[0] for run in group.runs)
    return [value for value in values if value is not None]
