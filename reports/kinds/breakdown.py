"""Where the numbers come from: every group of a suite, and the most hallucinated objects with the objects that they co-occur with."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from halbench.types import Score
from reports.highlights import listed
from reports.incomplete_runs import BOUNDS_NOTE
from reports.main_metrics import heading
from reports.run_groups import Panel, load_run, panels
from reports.types import Column, NothingToShow, Options, ReportInput, Table

TITLE = "Breakdown"
ORDER = 50
OBJECTS = 15
MIN_TOGETHER = 3
"""Fewest responses in which two objects occur together for the pair to be reported; fewer may be chance."""
PRESENT = ("truth", "covered", "correct")
"""Evidence that lists objects in the image, the most complete first; see Score in halbench/types.py."""


def build(reading: ReportInput, options: Options) -> list[Table]:
    """Per suite a table of its groups, and one of hallucinated objects if its scores list them."""
    tables: list[Table] = []
    for panel in panels(reading):
        tables += by_group(panel)
        runs = [run for group in panel.all_groups for run in group.runs]
        frames = [hallucinated_objects(run.label, load_run(run.path).scores.values()) for run in runs]
        frames = [frame for frame in frames if not frame.empty]
        if frames:
            tables.append(objects_table(panel.name, panel.suite, pd.concat(frames, ignore_index=True)))
    if not tables:
        raise NothingToShow("no run of a suite with several groups or with hallucinated objects in its scores")
    return tables


def by_group(panel: Panel) -> list[Table]:
    """A table for each set of groups that share their metrics; [] if there is only one group."""
    results = panel.results[~panel.results["unread"].astype(bool)]
    if results["group"].nunique() < 2:
        return []
    sets: dict[frozenset[str], list[str]] = {}
    for group, rows in results.groupby("group", sort=False):
        sets.setdefault(frozenset(rows["metric"]), []).append(str(group))
    for metrics in sorted(sets, key=len):  # a group with some of another's metrics joins its table
        wider = next((other for other in sets if metrics < other), None)
        if wider is not None:
            sets[wider] += sets.pop(metrics)
    return [
        group_table(
            panel,
            f"{panel.name}_{groups[0]}" if len(sets) > 1 else panel.name,
            f"{panel.suite} by group" if len(groups) > 1 else f"{panel.suite}: {groups[0]}",
            results[results["group"].isin(groups)],
        )
        for groups in sets.values()
    ]


def group_table(panel: Panel, name: str, title: str, results: pd.DataFrame) -> Table:
    """One row per group and run, one column per metric."""
    labels = {run.name: run.label for group in panel.all_groups for run in group.runs}
    rows = []
    for (group, run), values in results.groupby(["group", "run"], sort=False):
        row: dict[str, Any] = {"group": group, "run": labels[str(run)], "n": int(values["n"].max())}
        for value in values.itertuples():
            row |= {
                str(value.metric): value.value,
                f"{value.metric} low": value.low,
                f"{value.metric} high": value.high,
            }
            bounds = panel.bounds.get((str(run), f"{group}/{value.metric}"), (None, None))
            row |= {f"{value.metric} lower bound": bounds[0], f"{value.metric} upper bound": bounds[1]}
        rows.append(row)
    groups = list(dict.fromkeys(results["group"]))
    order = list(labels.values())
    rows.sort(key=lambda row: (groups.index(row["group"]), order.index(row["run"])))
    columns = [Column("group", "group"), Column("run", "run"), Column("n", "n", "count")]
    for metric in results.drop_duplicates("metric").itertuples():
        label = heading(str(metric.label), metric.better, metric.unit)  # type: ignore[arg-type]
        names = {"low": f"{metric.metric} low", "high": f"{metric.metric} high"}
        names |= {"lowest": f"{metric.metric} lower bound", "highest": f"{metric.metric} upper bound"}
        columns.append(Column(label, str(metric.metric), "value", metric.unit, metric.better, **names))  # type: ignore[arg-type]
    return Table(
        f"breakdown_{name}",
        title,
        f"{panel.signature}. 95% intervals over images; n: scored responses."
        + (f" {BOUNDS_NOTE}" if panel.bounds else ""),
        pd.DataFrame(rows),
        columns,
        group="group",
    )


def hallucinated_objects(run: str, scores: Iterable[Score]) -> pd.DataFrame:
    """The objects that a run hallucinates most, in how many responses, and for each the present object it goes with most."""
    scores = [score for score in scores if score.state == "scored" and "hallucinated" in score.evidence]
    hallucinated = Counter(name for score in scores for name in set(objects_in(score, "hallucinated")))
    present = Counter(name for score in scores for name in present_objects(score))
    rows: list[dict[str, Any]] = []
    for name, times in hallucinated.most_common(OBJECTS):
        cases = [score for score in scores if name in objects_in(score, "hallucinated")]
        together = Counter(other for score in cases for other in present_objects(score) if other != name)
        row: dict[str, Any] = {"run": run, "object": name, "responses": times, "share": times / len(scores)}
        partner = likeliest_partner(together, present, times, len(scores))
        if partner is not None:
            both, images = together[partner], present[partner]
            row |= {"partner": partner, "both": both, "rate with": both / images}
            row |= {"rate without": (times - both) / (len(scores) - images) if len(scores) > images else None}
        rows.append(row)
    return pd.DataFrame(rows)


def likeliest_partner(together: Mapping[str, int], present: Mapping[str, int], times: int, scores: int) -> str | None:
    """The present object that co-occurs with a hallucination most above chance, in number of cases."""
    excess = {name: both - times * present[name] / scores for name, both in together.items() if both >= MIN_TOGETHER}
    best = max(excess, key=lambda name: (excess[name], name), default=None)
    return best if best is not None and excess[best] > 0 else None


def objects_in(score: Score, name: str) -> list[str]:
    """The objects in a list of evidence: words, or mentions with their category."""
    return listed(score, name, "category", "word")


def present_objects(score: Score) -> set[str]:
    """The objects known to be in the image."""
    known = next((name for name in PRESENT if name in score.evidence), None)
    return set(objects_in(score, known)) if known else set()


def objects_table(name: str, suite: str, frame: pd.DataFrame) -> Table:
    """The table of hallucinated objects of all runs."""
    for column in ("partner", "both", "rate with", "rate without"):
        if column not in frame:
            frame[column] = None
    return Table(
        f"objects_{name}",
        f"Most hallucinated objects on {suite}",
        "Responses: those that name an object which is not in the image. Most often with: the present object that "
        "co-occurs with it most above chance, then how often it is hallucinated in images with that object and without. Present objects are those "
        "of the truth or, if a suite's scores do not contain it, those correctly named in the response.",
        frame,
        [
            Column("run", "run"),
            Column("object", "object"),
            Column("responses", "responses", "count"),
            Column("share (%)", "share", "value", "fraction", "lower"),
            Column("most often with", "partner"),
            Column("both", "both", "count"),
            Column("with it (%)", "rate with", "value", "fraction", "neither"),
            Column("without it (%)", "rate without", "value", "fraction", "neither"),
        ],
        group="run",
    )
