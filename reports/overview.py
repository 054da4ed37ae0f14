"""One table of all models over all suites, as papers have it: a row per model, the headline metrics of each suite as columns.

A column holds numbers of one signature only: runs of a suite under another one have columns of their own.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from halbench.errors import InputError, did_you_mean
from reports.group_values import value_cells
from reports.main_metrics import MainMetric
from reports.run_groups import Panel, RunGroup
from reports.types import Column, Options, Table


def overview(panels: Sequence[Panel], options: Options) -> list[Table]:
    """A table for each set of panels that have models in common and are of several suites. panels: with complete runs."""
    check_sort(panels, options.sort)
    parts = [part for part in with_models_in_common(panels) if len({panel.suite for panel in part}) > 1]
    return [
        table(part, options.sort, f"leaderboard_models{f'_{number}' if len(parts) > 1 else ''}")
        for number, part in enumerate(parts, 1)
    ]


def with_models_in_common(panels: Sequence[Panel]) -> list[list[Panel]]:
    """The panels in parts: two with a model in common are in one."""
    parts: list[tuple[set[tuple[str, ...]], list[Panel]]] = []
    for panel in panels:
        models, members = {model_key(group) for group in panel.groups}, [panel]
        for part in [part for part in parts if part[0] & models]:
            parts.remove(part)
            models |= part[0]
            members = [*part[1], *members]
        parts.append((models, members))
    return [members for _, members in parts]


def table(panels: Sequence[Panel], sort: str | None, name: str) -> Table:
    """A row per model, a column per headline metric of each panel."""
    suites = [panel.suite for panel in panels]
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    columns, notes = [Column("model", "model")], []
    for index, panel in enumerate(panels):
        several = suites.count(panel.suite) > 1
        title = f"{panel.suite} {suites[: index + 1].count(panel.suite)}" if several else panel.suite
        notes.append(f"{title}: {panel.signature}")
        for metric in panel.metrics:
            key = f"{panel.name}:{metric.key}"
            bounds = {"low": f"{key} low", "high": f"{key} high"}
            columns.append(Column(f"{title}: {metric.label}", key, "value", metric.unit, metric.better, **bounds))
        for group in panel.groups:
            row = rows.setdefault(model_key(group), {"model": model_label(group)})
            cells = value_cells(panel, group, panel.metrics)
            row |= {f"{panel.name}:{name}": value for name, value in cells.items()}
    frame = pd.DataFrame(ordered(list(rows.values()), panels, sort))
    for column in columns:
        for source in (column.source, column.low, column.high):
            if source is not None and source not in frame:
                frame[source] = None
    frame["model"] = distinct(list(frame["model"]))
    note = (
        "An empty cell: no complete run. Models are ordered by one column; neighbours whose intervals overlap are not "
        f"distinguished. {'. '.join(notes)}"
    )
    return Table(name, "Models over all suites", note, frame, columns)


def model_key(group: RunGroup) -> tuple[str, ...]:
    """What makes the models behind two rows the same: name and weights."""
    identities = [run.manifest.settings.model for run in group.runs]
    weights = sorted(f"{one.get('fingerprint')} {one.get('adapter')}" for one in identities)
    return (model_label(group), *weights)


def model_label(group: RunGroup) -> str:
    """The objective of trained models; else the name that the run gave its model, or the model's own."""
    first = group.runs[0]
    if group.trained or group.role != "run":
        return group.name
    return first.manifest.name or str(first.manifest.settings.model.get("model") or group.name)


def distinct(labels: list[str]) -> list[str]:
    """The labels, numbered where two different models have the same."""
    return [
        f"{label} ({labels[: index + 1].count(label)})" if labels.count(label) > 1 else label
        for index, label in enumerate(labels)
    ]


def sortable(panels: Sequence[Panel]) -> dict[str, tuple[Panel, MainMetric]]:
    """The metrics by which models can be ordered, as --sort names them."""
    named: dict[str, tuple[Panel, MainMetric]] = {}
    for panel in panels:
        for metric in panel.metrics:
            for name in (f"{panel.suite}/{metric.key}", f"{panel.suite}/{metric.metric}"):
                named.setdefault(name, (panel, metric))
    return named


def check_sort(panels: Sequence[Panel], sort: str | None) -> None:
    """Raise InputError if --sort names no metric of these runs."""
    named = sortable(panels)
    if sort is not None and sort not in named:
        raise InputError(f"--sort {sort}: no such metric in these runs{did_you_mean(sort, named)}")


def ordered(rows: list[dict[str, Any]], panels: Sequence[Panel], sort: str | None) -> list[dict[str, Any]]:
    """The rows, best first by the metric `sort`, where these panels have it, else by the first column; those without it last."""
    named = sortable(panels)
    panel, metric = named.get(sort or "") or next(iter(named.values()))
    key, sign = f"{panel.name}:{metric.key}", -1 if metric.better == "higher" else 1
    return sorted(rows, key=lambda row: (row.get(key) is None, sign * (row.get(key) or 0)))
