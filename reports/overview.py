"""One table of all models over all suites, as papers have it: a row per model, the headline metrics of each suite as columns.

A column holds numbers of one signature only: runs of a suite under another one have columns of their own.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import pandas as pd

from halbench.errors import InputError, did_you_mean
from halbench.files.records import content_hash
from reports.group_values import value_cells
from reports.main_metrics import MainMetric
from reports.run_groups import Panel, RunGroup
from reports.types import Column, Options, Table


def overview(panels: Sequence[Panel], options: Options) -> list[Table]:
    """A table for each set of panels that have models in common and ask different questions; models that were trained on other
    preference pairs are never in it. panels: with complete runs."""
    check_sort(panels, options.sort)
    pairs = dict.fromkeys(panel.pairs_hash for panel in panels if panel.pairs_hash) or (None,)
    sets = [[panel for panel in panels if panel.pairs_hash in (None, digest)] for digest in pairs]
    parts = [part for own in sets for part in with_models_in_common(own) if len(set(map(questions, part))) > 1]
    return [table(part, options.sort, number, len(parts)) for number, part in enumerate(parts, 1)]


def questions(panel: Panel) -> tuple[str, str | None]:
    """What the runs of a panel were asked."""
    return panel.suite, signed(panel).get("items")


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


def table(panels: Sequence[Panel], sort: str | None, number: int, of: int) -> Table:
    """A row per model, a column per headline metric of each panel."""
    models: dict[tuple[str, ...], RunGroup] = {}
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    columns, notes = [Column("model", "model")], []
    for panel, title in zip(panels, titles(panels), strict=True):
        notes.append(f"{title}: {panel.signature}")
        for metric in panel.metrics:
            key = f"{panel.name}:{metric.key}"
            bounds = {"low": f"{key} low", "high": f"{key} high"}
            columns.append(Column(metric.label, key, "value", metric.unit, metric.better, **bounds, over=title))
        for group in panel.groups:
            model = row_key(group, panel, panels)
            models[model] = group
            cells = value_cells(panel, group, panel.metrics)
            rows.setdefault(model, {}).update({f"{panel.name}:{name}": value for name, value in cells.items()})
    names = distinct_labels(models)
    frame = pd.DataFrame(ordered([{"model": names[key], **row} for key, row in rows.items()], panels, sort))
    for column in columns:
        for source in (column.source, column.low, column.high):
            if source is not None and source not in frame:
                frame[source] = None
    panel, metric = sorted_by(panels, sort)
    note = (
        f"Ordered by {metric.label} of {panel.suite}; models whose intervals overlap are not distinguished. A dash: no complete "
        f"run. {'. '.join(notes)}"
    )
    title = "Models over all suites"
    if of == 1:
        return Table("leaderboard_models", title, note, frame, columns)
    return Table(f"leaderboard_models_{number}", f"{title}, {number} of {of}", note, frame, columns)


def titles(panels: Sequence[Panel]) -> list[str]:
    """The suite of each panel; where there are several of a suite, with the fields of the signature in which they differ."""
    found = []
    for panel in panels:
        fields = [signed(other) for other in panels if other.suite == panel.suite]
        differing = [name for name in dict.fromkeys(chain(*fields)) if len({one.get(name) for one in fields}) > 1]
        found.append(", ".join([panel.suite, *(f"{name} {signed(panel).get(name, '-')}" for name in differing)]))
    return found


def signed(panel: Panel) -> Mapping[str, str]:
    """The fields of a panel's signature, as text: a manifest changed by hand can hold anything."""
    return {name: str(value) for name, value in panel.groups[0].runs[0].manifest.signature_fields.items()}


def model_key(group: RunGroup) -> tuple[str, ...]:
    """What makes the models behind two rows the same: name and weights."""
    identities = [run.manifest.settings.model for run in group.runs]
    weights = sorted(f"{one.get('fingerprint')} {one.get('adapter')}" for one in identities)
    return (model_label(group), *weights)


def row_key(group: RunGroup, panel: Panel, panels: Sequence[Panel]) -> tuple[str, ...]:
    """What makes two rows one: the model; if a panel has it twice, such as in two precisions, all that identifies it; if it was
    run twice, its run."""
    key, exact = model_key(group), exact_identity(group)
    if all(sum(model_key(other) == key for other in one.groups) < 2 for one in panels):
        return key
    twins = [other for other in panel.groups if (model_key(other), exact_identity(other)) == (key, exact)]
    return (*key, exact, *([group.name] if len(twins) > 1 else []))


def model_label(group: RunGroup) -> str:
    """The objective of trained models; else the name that the run gave its model, or the model's own."""
    first = group.runs[0]
    if group.trained or group.role != "run":
        return group.name
    return first.manifest.name or str(first.manifest.settings.model.get("model") or group.name)


def exact_identity(group: RunGroup) -> str:
    """Everything by which the models of a group identify themselves."""
    return content_hash(sorted(content_hash(run.manifest.settings.model) for run in group.runs))


def distinct_labels(models: Mapping[tuple[str, ...], RunGroup]) -> dict[tuple[str, ...], str]:
    """The label of each model; where two have the same, with what differs in them."""
    labels = {}
    for key, group in models.items():
        labels[key] = model_label(group)
        namesakes = [other for other in models.values() if model_label(other) == labels[key]]
        identities = [other.runs[0].manifest.settings.model for other in namesakes]
        own = group.runs[0].manifest.settings.model
        differing = [
            name for name in dict.fromkeys(chain(*identities)) if len({str(one.get(name)) for one in identities}) > 1
        ]
        if len(namesakes) > 1:
            labels[key] += f" ({', '.join(f'{name} {own.get(name)}' for name in differing) or group.runs[0].name})"
    return labels


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


def sorted_by(panels: Sequence[Panel], sort: str | None) -> tuple[Panel, MainMetric]:
    """The metric `sort` where these panels have it, else the first that has a better direction, else the first."""
    named = sortable(panels)
    if sort in named:
        return named[sort]
    directed = [(panel, metric) for panel, metric in named.values() if metric.better != "neither"]
    return next(iter(directed or named.values()))


def ordered(rows: list[dict[str, Any]], panels: Sequence[Panel], sort: str | None) -> list[dict[str, Any]]:
    """The rows, best first; those without a value last."""
    panel, metric = sorted_by(panels, sort)
    key, sign = f"{panel.name}:{metric.key}", -1 if metric.better == "higher" else 1
    return sorted(rows, key=lambda row: (row.get(key) is None, sign * (row.get(key) or 0)))
