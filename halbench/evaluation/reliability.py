"""How far the judges of the same responses agree: each with itself, when asked again, and with the others.

Every judge whose replies are kept in the run folders is scored again from them; nothing is requested. A metric's value of an
item is its numerator by its denominator in that item's counts (the rating, whether it hallucinates), and agreement is measured
on these, for the headline metrics that are ratios.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.evaluation.scoring import score_responses
from halbench.evaluation.stored_responses import StoredResponses, read_stored_responses
from halbench.evaluation.suites import load_suite, naming_damaged_data, suite_of_run
from halbench.folders.run import RunFolder
from halbench.judging.judgements import by_repeat
from halbench.statistics.agreement import (
    Level,
    identical_share,
    judge_deviation,
    krippendorff_alpha,
    two_level_interval,
)
from halbench.statistics.clusters import Floats
from halbench.types import Judgement, Metric, Score, Suite, Unit


@dataclass(frozen=True)
class SelfAgreement:
    """One judge's number, and how it agrees with itself.

    low, high: 95 % interval, from drawing images and each one's replies again. margin: 1.96 standard deviations of the number
    if only the judge replied again; None for a single reply each. identical: share of identical values among pairs of replies
    to one prompt. alpha: Krippendorff's, at this level of measurement.
    """

    judge: str
    metric: str
    unit: Unit
    repeats: int
    n: int
    value: float | None
    low: float | None
    high: float | None
    margin: float | None
    identical: float | None
    alpha: float | None
    level: Level


@dataclass(frozen=True)
class MutualAgreement:
    """Two judges on the same responses, by the first reply of each. n: responses that both have scored."""

    a: str
    b: str
    metric: str
    unit: Unit
    n: int
    difference: float | None
    identical: float | None
    alpha: float | None
    level: Level


@dataclass(frozen=True)
class Reliability:
    """Agreement of all judges."""

    suite: str
    judges: tuple[SelfAgreement, ...]
    pairs: tuple[MutualAgreement, ...]


@dataclass(frozen=True)
class JudgeScores:
    """A judge's scores: one list for each repeat, in the order of the responses."""

    name: str
    repeats: Sequence[Sequence[Score]]


def reliability(folders: Sequence[Path], data: Data, suite_file: str | None = None) -> Reliability:
    """Agreement of all judges whose replies are in these run folders, which must hold the same responses."""
    suite = load_suite(suite_file) if suite_file else suite_of_run(RunFolder(folders[0]))
    judges: list[JudgeScores] = []
    first: StoredResponses | None = None
    for path in folders:
        stored = read_stored_responses(suite, (), data, path)
        first = first or stored
        answers, others = ({row.item: row.text for row in run.responses} for run in (first, stored))
        if answers != others:
            raise InputError(
                f"{path}: expected the responses of {folders[0]}, found others; judges are compared on the same"
            )
        with naming_damaged_data(suite, data):
            judges += judges_in(RunFolder(path), stored, f" ({path.resolve().name})" if len(folders) > 1 else "")
    if not judges:
        raise InputError(
            f"{folders[0]}: no judge's replies; judge it: halbench score --responses {folders[0]} --judge MODEL"
        )
    judges = with_different_names(judges)
    metrics = [metric for metric in suite.metrics if metric.main and metric.ratio and metric.unit != "words"]
    own = [self_agreement(judge, metric, suite) for metric in metrics for judge in judges]
    pairs = [mutual_agreement(a, b, metric, suite) for metric in metrics for a, b in combinations(judges, 2)]
    return Reliability(suite.name, tuple(own), tuple(pairs))


def judges_in(folder: RunFolder, stored: StoredResponses, suffix: str = "") -> list[JudgeScores]:
    """The judges whose replies are in a folder, in the order in which they were asked. suffix: of their names."""
    replies: dict[tuple[str, str], list[Judgement]] = {}
    for row in folder.read(Judgement, folder.judgements_path):
        replies.setdefault((row.requested_model, row.judge), []).append(row)
    return [
        JudgeScores(
            f"{model}{suffix}",
            [score_responses(stored.task, stored.responses, verdicts) for verdicts in by_repeat(rows)],
        )
        for (model, _), rows in replies.items()
    ]


def with_different_names(judges: Sequence[JudgeScores]) -> list[JudgeScores]:
    """Judges of one name are numbered: the same model with another prompt or decoding."""
    names = [judge.name for judge in judges]
    return [
        judge
        if names.count(judge.name) == 1
        else JudgeScores(f"{judge.name} #{names[: place + 1].count(judge.name)}", judge.repeats)
        for place, judge in enumerate(judges)
    ]


def self_agreement(judge: JudgeScores, metric: Metric, suite: Suite) -> SelfAgreement:
    tops, bottoms, clusters = parts(judge.repeats, metric, suite)
    values, level = values_of(tops, bottoms), level_of(metric, tops, bottoms)
    several = values.shape[1] > 1
    summed = cluster_totals(tops, clusters), cluster_totals(bottoms, clusters)
    bounds, deviation = two_level_interval(*summed), judge_deviation(*summed)
    return SelfAgreement(
        judge=judge.name,
        metric=metric.name,
        unit=metric.unit,
        repeats=values.shape[1],
        n=int(np.isfinite(tops).any(axis=1).sum()),
        value=ratio(tops, bottoms),
        low=bounds[0] if bounds else None,
        high=bounds[1] if bounds else None,
        margin=None if deviation is None else 1.96 * deviation,
        identical=identical_share(values) if several else None,
        alpha=krippendorff_alpha(values, level) if several else None,
        level=level,
    )


def mutual_agreement(a: JudgeScores, b: JudgeScores, metric: Metric, suite: Suite) -> MutualAgreement:
    tops, bottoms, _ = parts([a.repeats[0], b.repeats[0]], metric, suite)
    both = np.isfinite(tops).all(axis=1)
    tops, bottoms = tops[both], bottoms[both]
    values, level = values_of(tops, bottoms), level_of(metric, tops, bottoms)
    one, other = (ratio(tops[:, [k]], bottoms[:, [k]]) for k in (0, 1))
    return MutualAgreement(
        a=a.name,
        b=b.name,
        metric=metric.name,
        unit=metric.unit,
        n=int(both.sum()),
        difference=None if one is None or other is None else other - one,
        identical=identical_share(values),
        alpha=krippendorff_alpha(values, level),
        level=level,
    )


def parts(repeats: Sequence[Sequence[Score]], metric: Metric, suite: Suite) -> tuple[Floats, Floats, list[str]]:
    """Numerators and denominators of a metric [responses, repeats], nan where a reply has no score, and the clusters."""
    assert metric.ratio is not None
    members = {group for name in metric.main for group in suite.groups[name]}
    rows = [scores for scores in zip(*repeats, strict=True) if scores[0].group in members]

    def count(name: str) -> Floats:
        return np.array(
            [[s.counts.get(name, 0.0) if s.state == "scored" else np.nan for s in scores] for scores in rows]
        ).reshape(len(rows), len(repeats))

    return count(metric.ratio[0]), count(metric.ratio[1]), [scores[0].cluster for scores in rows]


def values_of(tops: Floats, bottoms: Floats) -> Floats:
    """The metric of each reply; nan where it is undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottoms != 0, tops / bottoms, np.nan)


def level_of(metric: Metric, tops: Floats, bottoms: Floats) -> Level:
    """A grade is ordinal, a yes or no a label, and any other share an amount."""
    if metric.unit == "rating":
        return "ordinal"
    values = values_of(tops, bottoms)
    return "nominal" if np.isin(values[np.isfinite(values)], (0, 1)).all() else "interval"


def ratio(tops: Floats, bottoms: Floats) -> float | None:
    """The metric over all responses, each with the mean of its replies."""
    scored = np.isfinite(tops).any(axis=1)
    if not scored.any():
        return None
    top, bottom = (float(np.nanmean(part[scored], axis=1).sum()) for part in (tops, bottoms))
    return top / bottom if bottom else None


def cluster_totals(counts: Floats, clusters: Sequence[str]) -> Floats:
    """Counts summed per cluster and repeat, nan for a cluster without any score. A response that lacks a score in one repeat
    counts with the mean of its others."""
    names = list(dict.fromkeys(clusters))
    if len(names) == len(clusters):
        return counts
    totals = np.full((len(names), counts.shape[1]), np.nan)
    for place, name in enumerate(names):
        rows = counts[[cluster == name for cluster in clusters]]
        rows = rows[np.isfinite(rows).any(axis=1)]
        if len(rows):
            totals[place] = np.where(np.isfinite(rows), rows, np.nanmean(rows, axis=1, keepdims=True)).sum(axis=0)
    return totals
