"""Objectives against a baseline: the mean over seeds, its range and interval, and the paired change with its significance.

Nothing is ranked. The test is over the sample of images: whether the mean of these very seeds differs from the baseline on other
images like these. The range over seeds next to it shows how much another seed could change it.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from halbench.comparing import comparison
from halbench.errors import InputError
from halbench.statistics.paired_tests import holm, resampling_footnote
from reports.group_values import value_cells
from reports.incomplete_runs import incomplete_table
from reports.main_metrics import MainMetric
from reports.run_groups import Panel, RunGroup, check_baseline, mean_run, panels
from reports.types import Column, NothingToShow, Options, ReportInput, Table

TITLE = "Ablation"
ORDER = 10
MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
MARKS_NOTE = "* p < .05, ** p < .01, *** p < .001, Holm-adjusted over the table."


def build(reading: ReportInput, options: Options) -> list[Table]:
    """Two tables per suite: values, and changes against the baseline if there is one; a third of incomplete runs."""
    check_baseline(reading, options)
    tables: list[Table] = []
    for panel in panels(reading):
        apart = incomplete_table(panel, "ablation") if any(group.trained for group in panel.all_groups) else []
        if not any(group.trained for group in panel.groups):
            tables += apart
            continue
        baseline = panel.baseline(options)
        try:
            change = [changes(panel, baseline, options)] if baseline is not None else []
            note = ""
        except InputError as error:
            change, note = [], f" Changes are not shown: {error}."
        if panel.incomplete:
            note += f" Incomplete, so not in this table: {', '.join(group.name for group in panel.incomplete)}."
        tables += [values(panel, note), *change, *apart]
    if not tables:
        raise NothingToShow("no run of a model that halbench trained; add the folders of halbench train")
    return tables


def values(panel: Panel, note: str = "") -> Table:
    """One row per run group: value, interval and range over seeds of each metric. note: added to the table's own."""
    metrics = panel.metrics
    rows = [
        {"arm": group.label, "seeds": len(group.runs), **value_cells(panel, group, metrics)} for group in panel.groups
    ]
    columns = [Column("", "arm"), Column("seeds", "seeds", "count")]
    for metric in metrics:
        names = {name: f"{metric.key} {name}" for name in ("low", "high", "lowest", "highest")}
        columns.append(Column(metric.label, metric.key, "value", metric.unit, metric.better, **names))
    return Table(
        f"ablation_{panel.name}",
        f"Ablation on {panel.suite}",
        f"{provenance(panel)} Value [95% interval over images] (lowest–highest seed); with several seeds, value and interval are "
        f"means over them.{note}",
        pd.DataFrame(rows),
        columns,
    )


def changes(panel: Panel, baseline: RunGroup, options: Options) -> Table:
    """One row per other run group: paired change of each metric, its interval and significance."""
    metrics = panel.metrics
    base = mean_run(baseline)
    rows: list[dict[str, Any]] = []
    tested: list[tuple[dict[str, Any], str, float]] = []
    for group in panel.groups:
        if group is baseline:
            continue
        row: dict[str, Any] = {"arm": group.label, "seeds": len(group.runs)}
        for key, change in paired_changes(base, mean_run(group), metrics, options).items():
            row |= {key: change.difference, f"{key} low": change.low, f"{key} high": change.high}
            row |= {f"{key} p": None, f"{key} mark": None}
            if change.p is not None:
                tested.append((row, key, change.p))
        rows.append(row)
    for (row, key, _), adjusted in zip(tested, holm([p for *_, p in tested]), strict=True):
        row |= {f"{key} p": adjusted, f"{key} mark": next((mark for bound, mark in MARKS if adjusted < bound), None)}
    footnote = resampling_footnote([p for *_, p in tested], options.resampling.n_resamples)
    columns = [Column("", "arm"), Column("seeds", "seeds", "count")]
    for metric in metrics:
        names = {name: f"{metric.key} {name}" for name in ("low", "high", "mark")}
        columns.append(Column(metric.label, metric.key, "difference", metric.unit, metric.better, **names))
    return Table(
        f"ablation_{panel.name}_change",
        f"Change against {baseline.label} on {panel.suite}",
        f"{provenance(panel)} Paired by item and resampled by image; with several seeds, their counts are averaged. {MARKS_NOTE} "
        "The test is over the sample of images; the range over seeds is in the table of values."
        + (f" {footnote}" if footnote else ""),
        pd.DataFrame(rows),
        columns,
    )


def paired_changes(
    base: comparison.Run, run: comparison.Run, metrics: Sequence[MainMetric], options: Options
) -> dict[str, comparison.Row]:
    """ "group/metric" -> the paired difference run - base."""
    pairing = comparison.pair(base, run, options.suite_file)
    keys = {metric.key for metric in metrics}
    wanted = [(group, metric) for group, metric in pairing.candidates() if f"{group}/{metric.name}" in keys]
    rows = comparison.measure(pairing, wanted, options.resampling)
    return {f"{row.group}/{row.metric}": row for row in rows}


def provenance(panel: Panel) -> str:
    """The signature and preference pairs that all rows share."""
    pairs = f" Trained on pairs {panel.pairs_hash}." if panel.pairs_hash else ""
    return f"{panel.signature}.{pairs}"
