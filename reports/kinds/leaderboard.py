"""All models over all suites; then all runs of each suite, and below them published results in italics: other protocols, often copied, without intervals.
Incomplete runs are in a table of their own.

Published results are in published_results.csv with their source. If sources disagree about a model, each has a row, which also
gives what the others print.
"""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from reports.group_values import bound_cells, value_cells
from reports.incomplete_runs import BOUNDS_NOTE, incomplete_table
from reports.main_metrics import MainMetric
from reports.overview import overview
from reports.run_groups import Panel, RunGroup, check_baseline, panels
from reports.types import Column, NothingToShow, Options, ReportInput, Table

TITLE = "Leaderboard"
ORDER = 20
PUBLISHED = "published_results.csv"
ROUNDING = 0.11
"""Sources that differ by less agree: by one unit of the last digit that papers print."""


def build(reading: ReportInput, options: Options) -> list[Table]:
    """One table per suite and signature, and one of its incomplete runs."""
    check_baseline(reading, options)
    if not reading.runs:
        raise NothingToShow("no scored run")
    all_panels = panels(reading)
    return overview([panel for panel in all_panels if panel.groups], options) + [
        table
        for panel in all_panels
        for table in ([leaderboard(panel)] if panel.groups else []) + incomplete_table(panel, "leaderboard")
    ]


def leaderboard(panel: Panel) -> Table:
    """One row per run group, then one per published model and source."""
    metrics = panel.metrics
    rows: list[dict[str, Any]] = [
        {
            "model": group.label,
            "published": False,
            "source": own_source(group),
            **value_cells(panel, group, metrics),
            **bound_cells(panel, group, metrics),
        }
        for group in panel.groups
    ]
    bounded = any(row[f"{metric.key} upper bound"] is not None for row in rows for metric in metrics)
    rows += published_rows(panel.suite, metrics)
    columns = [Column("model", "model")]
    for metric in metrics:
        names = {"low": f"{metric.key} low", "high": f"{metric.key} high"}
        names |= {"lowest": f"{metric.key} lower bound", "highest": f"{metric.key} upper bound"}
        columns.append(Column(metric.label, metric.key, "value", metric.unit, metric.better, **names))
    has_published = any(row["published"] for row in rows)
    note = "Rows are not ranked; those whose intervals overlap are not distinguished."
    if bounded:
        note += f" {BOUNDS_NOTE}"
    if has_published:
        note += (
            " Rows in italics are published results as printed: mostly without intervals, measured under protocols that differ "
            "in the judge, the extraction or the similarity table, and often copied from one paper to the next."
        )
    return Table(
        f"leaderboard_{panel.name}",
        f"Leaderboard of {panel.suite}",
        f"{panel.signature}. {note}",
        pd.DataFrame(rows),
        [*columns, Column("source", "source")],
        group="published",
        italic="published" if has_published else None,
    )


def own_source(group: RunGroup) -> str:
    """The source of one of our rows: "measured here, adapter 45d6a45aa2f60c49 on weights e438379ac36bc653"."""
    model, several = group.runs[0].manifest.settings.model, len(group.runs) > 1
    parts = ["measured here", *([f"{len(group.runs)} seeds"] if several else [])]
    if "adapter" in model:
        parts.append(f"{'adapters' if several else 'adapter ' + model['adapter']} on weights {model['fingerprint']}")
    elif "fingerprint" in model and not several:
        parts.append(f"weights {model['fingerprint']}")
    return ", ".join(parts)


@cache
def published_results() -> pd.DataFrame:
    """The table of published results: model, suite, metric, value (percent or rating), source, note."""
    with (resources.files("reports") / PUBLISHED).open(encoding="utf-8") as file:
        return pd.read_csv(file, keep_default_na=False)


def published_rows(suite: str, metrics: Sequence[MainMetric]) -> list[dict[str, Any]]:
    """One row per model and source that has any of these metrics."""
    results = published_results()
    by_name = {metric.published: metric for metric in metrics if metric.published}
    results = results[(results["suite"] == suite) & results["metric"].isin(list(by_name))]
    rows: list[dict[str, Any]] = []
    for (model, source), printed in results.groupby(["model", "source"], sort=False):
        values = dict(zip(printed["metric"], printed["value"].astype(float), strict=True))
        notes = dict.fromkeys(filter(None, printed["note"]))
        text = "; ".join(map(str, [source, *notes, *contradictions(results, str(model), str(source))]))
        cells = {metric.key: native_value(metric, values[name]) for name, metric in by_name.items() if name in values}
        rows.append({"model": model, "published": True, "source": text, **cells})
    return sorted(rows, key=lambda row: str(row["model"]))


def native_value(metric: MainMetric, value: float) -> float:
    """A published value in the metric's unit; papers print fractions in percent."""
    return value / 100 if metric.unit == "fraction" else value


def contradictions(results: pd.DataFrame, model: str, source: str) -> list[str]:
    """What other sources print for the same model, if it is another number."""
    different = []
    for metric, printed in results[results["model"] == model].groupby("metric", sort=False):
        own = printed[printed["source"] == source]["value"].astype(float)
        others = sorted(
            {float(value) for value in printed[printed["source"] != source]["value"]}
            - {value for value in printed["value"].astype(float) if own.size and abs(value - own.iloc[0]) < ROUNDING}
        )
        if own.size and others:
            different.append(f"{metric} {', '.join(f'{value:g}' for value in others)}")
    return [f"elsewhere {', '.join(different)}"] if different else []
