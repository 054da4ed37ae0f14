"""Does a metric reward a model that says less? Tried on the suite's own items, with empty answers and with synthetic ones.

A metric that empty answers improve must name a companion that shows it (Metric.companions), or the suite is refused.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from halbench.errors import InputError
from halbench.evaluation.bounds import bounds, ends
from halbench.evaluation.suite_contract import Key, all_metrics, checked_score, value_at, with_joint_counts
from halbench.statistics.clusters import cluster_sums, count_names
from halbench.types import Item, Metric, Response, Score, Suite, Task

PROBED = 20
"""Items of each group that get synthetic answers."""
ROUNDING = 1e-9


def check_empty_answers(suite: Suite, task: Task) -> None:
    """Raise InputError for a metric that a model improves by saying nothing, unless one of its companions shows this; and for
    a metric that uses a count which no answer has."""
    values = probed_values(suite, task)
    metrics = all_metrics(suite)
    if task.judge is None:
        check_counts_exist(suite, values)
        check_extremes(suite, task, values)
    for (group, name), metric in metrics.items():
        outcome = outcome_of_empty_answers(metric, values[group, name])
        companions = suite.companions(group, name)
        if outcome is None or any(shows_silence(metrics[key], values[key]) for key in companions):
            continue
        also = f" and {' and '.join(name for _, name in companions)} no worse" if companions else ""
        raise InputError(
            f"suite {suite.name}: empty answers {outcome.format(f'{group}/{name}')}{also}, so a model can improve it by "
            'saying less; name a metric that shows this: companions=("coverage",)'
        )


def check_counts_exist(suite: Suite, values: Mapping[Key, Mapping[str, float | None]]) -> None:
    """Raise InputError for a metric whose formula uses a count that no score has, in all of its groups with answers."""
    for metric in suite.metrics:
        probed = [values[group, metric.name] for group in metric.groups if values[group, metric.name]]
        if probed and all(value is None for kinds in probed for value in kinds.values()):
            raise InputError(
                f"suite {suite.name}: the formula of metric '{metric.name}' uses a count that no score has; check the names "
                "of the counts"
            )


def check_extremes(suite: Suite, task: Task, values: Mapping[Key, Mapping[str, float | None]]) -> None:
    """Raise InputError for a metric that synthetic answers make better, or worse, than the suite's extremes allow."""
    items = probed_items(task)
    for group, members in suite.groups.items():
        limits = ends(task, [], [item for item in items if item.group in members])
        for metric in suite.metrics:
            worst, best = bounds(metric, limits)
            if worst is None or best is None or group not in metric.groups:
                continue
            low, high = min(worst, best) - ROUNDING, max(worst, best) + ROUNDING
            for value in values[group, metric.name].values():
                if value is not None and (value < low or value > high):
                    raise InputError(
                        f"suite {suite.name}: some answers bring {group}/{metric.name} to {value:g}, but by Task.extremes it is "
                        f"{worst:g} at worst and {best:g} at best"
                    )


def outcome_of_empty_answers(metric: Metric, values: Mapping[str, float | None]) -> str | None:
    """What empty answers do to a metric, if they improve it ("bring {} to 0"); None otherwise.

    values: of the metric by kind of answer; nan if undefined, None if the answers lack its counts.
    """
    silent, spoken = values.get("silent"), spoken_values(values)
    if metric.better == "neither" or silent is None:
        return None
    if metric.unread:  # of empty answers, all are unread
        return "do not raise {}, a share of unread answers" if any(value > silent for value in spoken) else None
    if np.isnan(silent):
        return "leave {} undefined" if any(metric.better == "lower" or value > 0 for value in spoken) else None
    if not spoken:
        return None
    if metric.better == "lower" and silent == 0 and min(spoken) >= 0:
        return "bring {} to 0"
    yes, no = values["yes"], values["no"]
    if yes != no and silent in (yes, no):
        return None  # an empty answer is read as one of the two, which is no better than saying it
    if metric.better == "lower":
        return "bring {} to its lowest value" if silent <= min(spoken) and silent < max(spoken) else None
    return "score as well as correct ones on {}" if silent >= max(spoken) and silent > min(spoken) else None


def shows_silence(metric: Metric, values: Mapping[str, float | None]) -> bool:
    """Whether empty answers are visible in a companion: it is worse with them, or a length shorter."""
    silent, spoken = values.get("silent"), spoken_values(values)
    if silent is None or np.isnan(silent):
        return False
    if metric.better == "lower":
        return any(silent > value for value in spoken)
    return silent == 0 or any(silent < value for value in spoken)


def spoken_values(values: Mapping[str, float | None]) -> list[float]:
    """The defined values of a metric for answers that say something."""
    return [value for kind, value in values.items() if kind != "silent" and value is not None and not np.isnan(value)]


def probed_values(suite: Suite, task: Task) -> dict[Key, dict[str, float | None]]:
    """The value of every (group, metric) for each kind of synthetic answers; {} for groups that are not reported or have
    no scored answer."""
    items = probed_items(task)
    scores = {kind: probe(task, items, texts) for kind, texts in synthetic_answers(items).items()}
    values: dict[Key, dict[str, float | None]] = {key: {} for key in all_metrics(suite)}
    leaves = {item.group for item in items}
    for group, members in suite.groups.items():
        if not set(members) <= leaves:
            continue  # not reported either
        within = {kind: [score for score in rows if score.group in members] for kind, rows in scores.items()}
        # A count that answers of one kind lack is 0 there, as in a run.
        names = count_names(score for rows in within.values() for score in rows)
        for kind, rows in within.items():
            if rows:
                totals = cluster_sums(rows, names).matrix.sum(axis=0)
                for metric in suite.metrics:
                    if group in metric.groups:
                        values[group, metric.name][kind] = value_at(metric, names, totals)
    return values


def probed_items(task: Task) -> list[Item]:
    return list(task.items) if task.joint else some_of_each_group(task.items)


def synthetic_answers(items: Sequence[Item]) -> dict[str, list[str]]:
    """Kind of answer -> a text for each item."""
    right = [words_of(item.truth) for item in items]
    return {
        "silent": ["" for _ in items],
        "yes": ["Yes" for _ in items],
        "no": ["No" for _ in items],
        "right": right,
        "wrong": right[1:] + right[:1],
    }


def words_of(truth: Any) -> str:
    """All text in an item's truth, as an answer that mentions everything."""
    if dataclasses.is_dataclass(truth) and not isinstance(truth, type):
        truth = [getattr(truth, field.name) for field in dataclasses.fields(truth)]
    if isinstance(truth, Mapping):
        truth = list(truth.values())
    return truth if isinstance(truth, str) else " ".join(map(words_of, truth)) if isinstance(truth, Iterable) else ""


def probe(task: Task, items: Sequence[Item], texts: Sequence[str]) -> list[Score]:
    """Scores of synthetic answers to items, as far as they can be scored without a judge."""
    scores = [
        checked_score(task, item, Response(item.id, text, state="ok" if text.strip() else "empty"), None)
        for item, text in zip(items, texts, strict=True)
    ]
    return [score for score in with_joint_counts(task, scores) if score.state == "scored"]


def some_of_each_group(items: Sequence[Item]) -> list[Item]:
    """Up to PROBED items of each group, drawn at random, so that none follows a pattern of the list."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    return [item for members in groups.values() for item in Random(0).sample(members, min(PROBED, len(members)))]
