"""All runs of each suite beside the published numbers, which are set apart: another protocol, often copied, without intervals.

Published rows stand in published_results.csv with their source. Where sources disagree about one model, each has its own row, and
the row says how far the others are away.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from reports.arms import Arm, Panel, check_baseline, panels
from reports.kinds.ablation import value_cells
from reports.main_metrics import MainMetric
from reports.types import Column, NothingToShow, Options, Reading, Table

TITLE = "Leaderboard"
PUBLISHED = "published_results.csv"
# Published metric -> ours. What papers call CHAIRs and CHAIRi of Object HalBench are the rates per response and per object.
OURS: Mapping[str, Mapping[str, str]] = {
    "amber": {
        **{name: f"generative/{name}" for name in ("chair", "cover", "hal", "cog")},
        "accuracy": "discriminative/accuracy",
        "f1": "discriminative/f1",
        "amber_score": "all/amber_score",
    },
    "object_halbench": {"chair_s": "all/response_hall", "chair_i": "all/object_hall"},
    "mmhal": {"score": "all/score", "hallucination_rate": "all/hallucination_rate"},
}
PERCENT = ("chair", "cover", "hal", "cog", "accuracy", "f1", "chair_s", "chair_i", "hallucination_rate")
ROUNDING = 0.11  # sources that differ by no more than one unit of the last digit agree


def build(reading: Reading, options: Options) -> list[Table]:
    """One table per suite and signature."""
    check_baseline(reading, options)
    if not reading.runs:
        raise NothingToShow("no complete run")
    return [leaderboard(panel) for panel in panels(reading)]


def leaderboard(panel: Panel) -> Table:
    metrics = panel.metrics
    rows: list[dict[str, Any]] = [
        {"model": arm.label, "published": False, "source": ours(arm), **value_cells(panel, arm, metrics)}
        for arm in panel.arms
    ]
    rows += published_rows(panel.suite, metrics)
    columns = [Column("model", "model")]
    for metric in metrics:
        bounds = {"low": f"{metric.key} low", "high": f"{metric.key} high"}
        columns.append(Column(metric.label, metric.key, "value", metric.unit, metric.better, **bounds))
    published = any(row["published"] for row in rows)
    note = "In no order of merit; rows whose intervals overlap are not told apart."
    if published:
        note += (
            " Rows in italics are literature, as printed there: mostly without intervals, under protocols that differ in the "
            "judge, the extraction or the similarity table, and often copied from one paper to the next."
        )
    return Table(
        f"leaderboard_{panel.name}",
        f"Leaderboard of {panel.suite}",
        f"{panel.signature}. {note}",
        pd.DataFrame(rows),
        [*columns, Column("source", "source")],
        group="published",
        apart="published" if published else None,
    )


def ours(arm: Arm) -> str:
    """Where a row of ours comes from: "measured here, adapter 45d6a45aa2f60c49 on weights e438379ac36bc653"."""
    model, several = arm.runs[0].manifest["settings"]["model"], len(arm.runs) > 1
    told = ["measured here", *([f"{len(arm.runs)} seeds"] if several else [])]
    if "adapter" in model:
        told.append(f"{'adapters' if several else 'adapter ' + model['adapter']} on weights {model['fingerprint']}")
    elif "fingerprint" in model and not several:
        told.append(f"weights {model['fingerprint']}")
    return ", ".join(told)


@cache
def published() -> pd.DataFrame:
    """model, suite, metric, value (percent or rating), source, note."""
    with (resources.files("reports") / PUBLISHED).open(encoding="utf-8") as file:
        return pd.read_csv(file, keep_default_na=False)


def published_rows(suite: str, metrics: Sequence[MainMetric]) -> list[dict[str, Any]]:
    """One row per model and source that has any of these metrics."""
    rows = published()
    names = {key: name for name, key in OURS.get(suite, {}).items()}
    wanted = {metric.key: names[metric.key] for metric in metrics if metric.key in names}
    rows = rows[(rows["suite"] == suite) & rows["metric"].isin(list(wanted.values()))]
    made: list[dict[str, Any]] = []
    for (model, source), found in rows.groupby(["model", "source"], sort=False):
        values = dict(zip(found["metric"], found["value"].astype(float), strict=True))
        said = [source, *dict.fromkeys(filter(None, found["note"])), *contradictions(rows, str(model), str(source))]
        cells = {key: native(name, values[name]) for key, name in wanted.items() if name in values}
        made.append({"model": model, "published": True, "source": "; ".join(map(str, said)), **cells})
    return sorted(made, key=lambda row: str(row["model"]))


def native(metric: str, value: float) -> float:
    """Percent as a fraction; ratings as they are. AMBER's score is a percentage here, too."""
    return value / 100 if metric in PERCENT or metric == "amber_score" else value


def contradictions(rows: pd.DataFrame, model: str, source: str) -> list[str]:
    """What other sources print for the same model, where it is another number."""
    of_model = rows[rows["model"] == model]
    said = []
    for metric, found in of_model.groupby("metric", sort=False):
        own = found[found["source"] == source]["value"].astype(float)
        others = sorted(
            {float(value) for value in found[found["source"] != source]["value"]}
            - {value for value in found["value"].astype(float) if own.size and abs(value - own.iloc[0]) < ROUNDING}
        )
        if own.size and others:
            said.append(f"{metric} {', '.join(f'{value:g}' for value in others)}")
    return [f"elsewhere {', '.join(said)}"] if said else []
