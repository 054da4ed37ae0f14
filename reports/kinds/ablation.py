"""Objectives against a baseline: the mean over seeds, its spread and interval, and the paired change with its significance.

Nothing is ranked. The test is of the draw of images: it asks whether the mean of these very seeds differs from the baseline on
other images like these, and the seeds' range beside it tells how much another seed would move it.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from halbench import comparison
from halbench.errors import InputError
from halbench.statistics import bound_of_draws, holm
from reports.arms import Arm, Panel, check_baseline, mean_run, panels
from reports.main_metrics import MainMetric
from reports.types import Column, NothingToShow, Options, Reading, Table

TITLE = "Ablation"
MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
MEANING = "* p < .05, ** p < .01, *** p < .001, Holm-adjusted over the table."


def build(reading: Reading, options: Options) -> list[Table]:
    """Two tables per suite: values, and changes against the baseline where there is one."""
    check_baseline(reading, options)
    made: list[Table] = []
    for panel in panels(reading):
        if not any(arm.trained for arm in panel.arms):
            continue
        baseline = panel.baseline(options)
        try:
            found = [changes(panel, baseline, options)] if baseline is not None else []
            note = ""
        except InputError as error:
            found, note = [], f" No changes are given: {error}."
        made += [values(panel, note), *found]
    if not made:
        raise NothingToShow("no run of a model that halbench trained; give the folders of halbench train as well")
    return made


def values(panel: Panel, note: str = "") -> Table:
    """One row per arm: value, interval and range over seeds of each metric. note: to be added."""
    metrics = panel.metrics
    rows = [{"arm": arm.label, "seeds": len(arm.runs), **value_cells(panel, arm, metrics)} for arm in panel.arms]
    columns = [Column("", "arm"), Column("seeds", "seeds", "count")]
    for metric in metrics:
        names = {name: f"{metric.key} {name}" for name in ("low", "high", "lowest", "highest")}
        columns.append(Column(metric.label, metric.key, "value", metric.unit, metric.better, **names))
    return Table(
        f"ablation_{panel.name}",
        f"Ablation on {panel.suite}",
        f"{told(panel)} Value [95% interval over images; of several seeds the mean of values and intervals] (lowest–highest seed).{note}",
        pd.DataFrame(rows),
        columns,
    )


def value_cells(panel: Panel, arm: Arm, metrics: Sequence[MainMetric]) -> dict[str, Any]:
    """Means over seeds of value and bounds, and the seeds' lowest and highest value; None where any seed has none."""
    cells: dict[str, Any] = {}
    for metric in metrics:
        results = panel.results
        found = results[
            (results["group"] == metric.group)
            & (results["metric"] == metric.metric)
            & results["run"].isin([run.name for run in arm.runs])
        ]
        for name, source in (("", "value"), (" low", "low"), (" high", "high")):
            known = found[source].dropna().tolist()
            cells[metric.key + name] = fmean(known) if known and len(known) == len(arm.runs) else None
        several = len(arm.runs) > 1 and cells[metric.key] is not None
        cells[f"{metric.key} lowest"] = found["value"].min() if several else None
        cells[f"{metric.key} highest"] = found["value"].max() if several else None
    return cells


def changes(panel: Panel, baseline: Arm, options: Options) -> Table:
    """One row per other arm: paired change of each metric, its interval and significance."""
    metrics = panel.metrics
    base = mean_run(baseline)
    rows: list[dict[str, Any]] = []
    tested: list[tuple[dict[str, Any], str, float]] = []
    for arm in panel.arms:
        if arm is baseline:
            continue
        row: dict[str, Any] = {"arm": arm.label, "seeds": len(arm.runs)}
        for key, found in measured(base, mean_run(arm), metrics, options).items():
            row |= {key: found.difference, f"{key} low": found.low, f"{key} high": found.high}
            row |= {f"{key} p": None, f"{key} mark": None}
            if found.p is not None:
                tested.append((row, key, found.p))
        rows.append(row)
    for (row, key, _), adjusted in zip(tested, holm([p for *_, p in tested]), strict=True):
        row |= {f"{key} p": adjusted, f"{key} mark": next((mark for bound, mark in MARKS if adjusted < bound), None)}
    bound = bound_of_draws([p for *_, p in tested], options.resamples)
    columns = [Column("", "arm"), Column("seeds", "seeds", "count")]
    for metric in metrics:
        names = {name: f"{metric.key} {name}" for name in ("low", "high", "mark")}
        columns.append(Column(metric.label, metric.key, "difference", metric.unit, metric.better, **names))
    return Table(
        f"ablation_{panel.name}_change",
        f"Change against {baseline.label} on {panel.suite}",
        f"{told(panel)} Paired by item, images as the unit drawn; of several seeds their counts pooled. {MEANING} "
        "The test is of the draw of images; how far seeds go apart stands in the table of values."
        + (f" {bound}" if bound else ""),
        pd.DataFrame(rows),
        columns,
    )


def measured(
    base: comparison.Run, run: comparison.Run, metrics: Sequence[MainMetric], options: Options
) -> dict[str, comparison.Row]:
    """ "group/metric" -> the paired difference run - base."""
    pairing = comparison.pair(base, run, options.suite_file)
    wanted = [(group, metric) for group, metric in pairing.candidates() if f"{group}/{metric.name}" in keys(metrics)]
    found = comparison.measure(pairing, wanted, options.level, options.resamples, options.seed)
    return {f"{row.group}/{row.metric}": row for row in found}


def keys(metrics: Sequence[MainMetric]) -> set[str]:
    return {metric.key for metric in metrics}


def told(panel: Panel) -> str:
    """What all rows share."""
    pairs = f" Trained on pairs {panel.pairs_hash}." if panel.pairs_hash else ""
    return f"{panel.signature}.{pairs}"
