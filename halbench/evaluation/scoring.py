"""Responses -> scores -> results: counts per response, then every metric with its interval.

A failure never becomes a score: items without an answer, a verdict or a readable reply are counted in `Coverage`. A run in
which more than `TOLERATED` of the items, and more than one, lack a score is incomplete, and is reported as such.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from halbench.evaluation.bounds import bounds, ends
from halbench.evaluation.suite_contract import checked_score, value_at, with_joint_counts
from halbench.reasoning import answer_part
from halbench.statistics.clusters import bootstrap_draws, cluster_sums, count_names, estimate
from halbench.statistics.intervals import interval
from halbench.statistics.resampling import N_RESAMPLES
from halbench.types import Item, Judgement, Metric, Response, Result, Score, Suite, Task


def score_responses(task: Task, responses: Sequence[Response], judgements: Mapping[str, Judgement]) -> list[Score]:
    """One score per response, in the order of the items, and one of state "missing" per item without a response, including
    the counts that need several answers at once (Task.joint)."""
    if len({item.id for item in task.items}) != len(task.items):
        raise ValueError("two items of the task have the same id")
    answers: dict[str, list[Response]] = {}
    for response in responses:
        answers.setdefault(response.item, []).append(response)
    scores = []
    for item in task.items:
        scores += [_score(task, item, response, judgements.get(item.id)) for response in answers.get(item.id, [])] or [
            Score.of(item, {}, state="missing", error="no response")
        ]
    return with_joint_counts(task, scores)


def _score(task: Task, item: Item, response: Response, judgement: Judgement | None) -> Score:
    if response.state == "error":
        return Score.of(item, {}, state="error", error=response.error)
    if response.state == "unfinished":
        return Score.of(item, {}, state="unfinished", error=response.error)
    if judgement is not None:  # a judge may think, too, and what it thinks is no verdict
        judgement = replace(judgement, reply=answer_part(judgement.reply))
    return checked_score(task, item, response, judgement)


def mean_scores(repeats: Sequence[Sequence[Score]]) -> list[Score]:
    """One score for each response of which a judge gave several verdicts: the mean of the counts of those that can be scored.

    So a share of answers is the mean of the judge's labels, not their majority: it estimates the same number whatever the
    number of replies, while a majority moves every share below one half towards 0. Counts of an official script are the mean
    over all replies, as it scores all of them.
    """
    return [_mean(scores) if len(scores) > 1 else scores[0] for scores in zip(*repeats, strict=True)]


def _mean(replies: Sequence[Score]) -> Score:
    scored = [score for score in replies if score.state == "scored"]
    counts = {}
    for name in count_names(replies):
        of = replies if name.startswith("official_") or not scored else scored
        counts[name] = math.fsum(score.counts.get(name, 0) for score in of) / len(of)
    faults = [score.faults for score in scored if score.faults is not None]
    first = (scored or replies)[0]
    evidence = {**first.evidence, "replies": [score.counts if score.state == "scored" else None for score in replies]}
    return replace(first, counts=counts, evidence=evidence, faults=math.fsum(faults) / len(faults) if faults else None)


def reported_groups(suite: Suite, leaves: set[str]) -> dict[str, tuple[str, ...]]:
    """The groups to report: those whose item groups all have items. leaves: item groups with items."""
    return {name: members for name, members in suite.groups.items() if set(members) <= leaves}


def applies(metric: Metric, names: Sequence[str]) -> bool:
    """Whether a metric's formula needs only counts of these names."""
    return value_at(metric, names, np.ones(len(names))) is not None


def results(
    suite: Suite, task: Task, scores: Sequence[Score], signature: str, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> list[Result]:
    """Every metric in every group, each with its 95 % interval over images, coverage and signature."""
    names = count_names(scores)
    rows = []
    for group, members in reported_groups(suite, {item.group for item in task.items}).items():
        metrics = [
            metric for metric in suite.metrics if group in metric.groups and (not names or applies(metric, names))
        ]
        if not metrics:
            continue
        within = [score for score in scores if score.group in members]
        items = [item for item in task.items if item.group in members]
        limits = ends(task, within, items)
        scored = [score for score in within if score.state == "scored"]
        counts = cluster_sums(within, names)
        draws = bootstrap_draws(max(1, len(counts.clusters)), n_resamples, seed)
        # Official scripts also count what is unscored here, such as a reply without a readable rating.
        sums = {name: math.fsum(score.counts.get(name, 0) for score in within) for name in names}
        for metric in metrics:
            spread = interval(metric, counts, draws) if scored else None
            worst, best = bounds(metric, limits)
            rows.append(
                Result(
                    suite=suite.name,
                    group=group,
                    metric=metric.name,
                    value=estimate(metric, counts) if scored else None,
                    low=spread.low if spread else None,
                    high=spread.high if spread else None,
                    n=len(scored),
                    coverage=len({score.item for score in scored}) / len(items),
                    better=metric.better,
                    unit=metric.unit,
                    official=_official(metric, sums, group) if task.official and names else None,
                    signature=signature,
                    label=metric.label,
                    main=group in metric.main,
                    companions=tuple("/".join(key) for key in suite.companions(group, metric.name)),
                    unread=metric.unread,
                    published=metric.published,
                    description=metric.description,
                    worst=worst,
                    best=best,
                )
            )
    return rows


def _official(metric: Metric, sums: Mapping[str, float], group: str) -> float | None:
    printed = metric.official(sums, group) if metric.official else None
    return None if printed is None or math.isnan(printed) else printed
