"""Where the numbers come from: every group of a suite, and the objects that are hallucinated most, with what stands beside them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from halbench.formatting import ARROWS
from halbench.types import Score
from reports.arms import load_run, panels
from reports.main_metrics import SUFFIX, metric_name
from reports.types import Column, NothingToShow, Options, Reading, Table

TITLE = "Breakdown"
OBJECTS = 15
FEWEST = 3  # cases with a companion, below which it may stand there by chance
UNREAD = ("unread", "unreadable")


def build(reading: Reading, options: Options) -> list[Table]:
    """Per suite a table of its groups, and per run one of its hallucinated objects where the suite names them."""
    made: list[Table] = []
    for panel in panels(reading):
        made += by_group(panel.name, panel.suite, panel.signature, panel.results)
        tables = [
            counted_objects(run.name, load_run(run.path).scores.values()) for arm in panel.arms for run in arm.runs
        ]
        frames = [table for table in tables if not table.empty]
        if frames:
            made.append(objects(panel.name, panel.suite, pd.concat(frames, ignore_index=True)))
    if not made:
        raise NothingToShow("no run of a suite with groups or named objects")
    return made


def by_group(name: str, suite: str, signature: str, results: pd.DataFrame) -> list[Table]:
    """A table for each set of groups that share their metrics; none where the suite has one group alone."""
    results = results[~results["metric"].isin(UNREAD)]
    if results["group"].nunique() < 2:
        return []
    sets: dict[frozenset[str], list[str]] = {}
    for group, found in results.groupby("group", sort=False):
        sets.setdefault(frozenset(found["metric"]), []).append(str(group))
    for metrics in sorted(sets, key=len):  # a group with a part of another's metrics stands beside it
        wider = next((other for other in sets if metrics < other), None)
        if wider is not None:
            sets[wider] += sets.pop(metrics)
    parts = [results[results["group"].isin(groups)] for groups in sets.values()]
    return [
        group_table(f"{name}_{groups[0]}" if len(parts) > 1 else name, suite, signature, part)
        for groups, part in zip(sets.values(), parts, strict=True)
    ]


def group_table(name: str, suite: str, signature: str, results: pd.DataFrame) -> Table:
    """One row per group and run, one column per metric."""
    metrics = results.drop_duplicates("metric")
    rows = []
    for (group, run), found in results.groupby(["group", "run"], sort=False):
        row: dict[str, Any] = {"group": group, "run": run, "n": int(found["n"].max())}
        for one in found.itertuples():
            row |= {str(one.metric): one.value, f"{one.metric} low": one.low, f"{one.metric} high": one.high}
        rows.append(row)
    order = {group: place for place, group in enumerate(dict.fromkeys(results["group"]))}
    rows.sort(key=lambda row: order[row["group"]])
    columns = [Column("group", "group"), Column("run", "run"), Column("n", "n", "count")]
    for metric in metrics.itertuples():
        label = f"{metric_name(str(metric.metric))}{ARROWS[metric.better]}{SUFFIX[metric.unit]}"  # type: ignore[index]
        bounds = {"low": f"{metric.metric} low", "high": f"{metric.metric} high"}
        columns.append(Column(label, str(metric.metric), "value", metric.unit, metric.better, **bounds))  # type: ignore[arg-type]
    return Table(
        f"breakdown_{name}",
        f"{suite} by group",
        f"{signature}. 95% intervals over images; n: responses scored.",
        pd.DataFrame(rows),
        columns,
        group="group",
    )


def counted_objects(run: str, scores: Iterable[Score]) -> pd.DataFrame:
    """The objects that a run hallucinates most: in how many responses, and the object beside which it does so most."""
    scores = [score for score in scores if score.state == "scored" and "hallucinated" in score.evidence]
    wrong = Counter(name for score in scores for name in set(named(score, "hallucinated")))
    beside = Counter(name for score in scores for name in present(score))
    rows: list[dict[str, Any]] = []
    for name, times in wrong.most_common(OBJECTS):
        where = [score for score in scores if name in named(score, "hallucinated")]
        together = Counter(other for score in where for other in present(score) if other != name)
        row: dict[str, Any] = {"run": run, "object": name, "responses": times, "share": times / len(scores)}
        partner = likeliest(together, beside, times, len(scores))
        if partner is not None:
            both, seen = together[partner], beside[partner]
            row |= {"beside": partner, "both": both, "rate with": both / seen}
            row |= {"rate without": (times - both) / (len(scores) - seen) if len(scores) > seen else None}
        rows.append(row)
    return pd.DataFrame(rows)


def likeliest(together: Mapping[str, int], beside: Mapping[str, int], times: int, scores: int) -> str | None:
    """The companion with which an object is hallucinated most above chance: by how many cases more than its share tells."""
    lift = {name: both - times * beside[name] / scores for name, both in together.items() if both >= FEWEST}
    best = max(lift, key=lambda name: (lift[name], name), default=None)
    return best if best is not None and lift[best] > 0 else None


def named(score: Score, kind: str) -> list[str]:
    """The objects that a kind of evidence names: words, or mentions with their category."""
    return [str(one["category"] if isinstance(one, Mapping) else one) for one in score.evidence.get(kind, ())]


def present(score: Score) -> set[str]:
    """What is known to be in the image: the truth, or where evidence holds none of it, what was rightly named."""
    known = next((kind for kind in ("truth", "covered", "correct") if kind in score.evidence), None)
    return set(named(score, known)) if known else set()


def objects(name: str, suite: str, frame: pd.DataFrame) -> Table:
    for column in ("beside", "both", "rate with", "rate without"):
        if column not in frame:
            frame[column] = None
    return Table(
        f"objects_{name}",
        f"Most hallucinated objects on {suite}",
        "In how many responses an object that is not there is named, and beside which object that happens most above chance: "
        "how often it is hallucinated when that one is in the image, and when not. In the image means: in the truth, or where a "
        "suite keeps no truth with its scores, rightly named in the response.",
        frame,
        [
            Column("run", "run"),
            Column("object", "object"),
            Column("responses", "responses", "count"),
            Column("share (%)", "share", "value", "fraction", "lower"),
            Column("most beside", "beside"),
            Column("both", "both", "count"),
            Column("with it (%)", "rate with", "value", "fraction", "neither"),
            Column("without it (%)", "rate without", "value", "fraction", "neither"),
        ],
        group="run",
    )
