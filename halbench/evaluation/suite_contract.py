"""What a suite must keep to, so that its numbers can be trusted. Everything that loads a suite passes through here.

Mistakes in a suite are its author's: each is one InputError that says what was expected. Whether a metric rewards a model
that says less is tried out in `empty_answers.py`.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from halbench import plugins
from halbench.errors import InputError
from halbench.files.records import dumps, misfit
from halbench.statistics.clusters import Floats, evaluate
from halbench.types import Item, Judgement, Metric, Response, ResponseRow, Score, Suite, Task

Key = tuple[str, str]
"""(group, metric name)."""

OUR_FIELDS = ("suite", "version", "items", "decoding")
"""Fields of the signature that a suite's identity may not replace."""


def check_suite(suite: Suite, where: str) -> None:
    """Raise InputError if the suite's declarations are incomplete or contradict each other. where: for messages."""
    if not (isinstance(suite.options, type) and dataclasses.is_dataclass(suite.options)):
        raise InputError(f"{where}: options must be a dataclass, found {suite.options!r}")
    if (problem := misfit(suite)) is not None:
        raise InputError(f"{where}: {problem}")
    if not suite.name or not suite.metrics:
        raise InputError(f"{where}: a suite needs a name and at least one metric")
    for name, members in suite.groups.items():
        if not isinstance(members, tuple) or not members or not all(isinstance(part, str) for part in (name, *members)):
            raise InputError(
                f"{where}: groups: expected a tuple of item groups such as ('all',) for '{name}', found {members!r}"
            )
    plugins.check_call(suite.load, None, None, None)
    plugins.check_call(suite.match, [], [])
    for metric in suite.metrics:
        plugins.checked(metric, Metric, f"{where}: metrics")
    names = [metric.name for metric in suite.metrics]
    repeated = next((name for name, times in Counter(names).items() if times > 1), None)
    if repeated is not None:
        raise InputError(f"{where}: two metrics are called '{repeated}'")
    for metric in suite.metrics:
        check_metric(metric, suite, where)


def check_metric(metric: Metric, suite: Suite, where: str) -> None:
    """Raise InputError if a metric's fields are wrong, name unknown groups or companions, or leave its companions open."""
    here = f"{where}: metric '{metric.name}'"
    if (problem := misfit(metric)) is not None:
        raise InputError(f"{here}: {problem}")
    if not metric.name or "/" in metric.name:
        raise InputError(f"{here}: a metric needs a name without '/'")
    if metric.margin is not None and not 0 <= metric.margin < (1 if metric.unit == "fraction" else math.inf):
        raise InputError(
            f"{here}: margin: expected a number from 0 up in the metric's own unit (0.01 is one percentage point), found "
            f"{metric.margin}"
        )
    unknown = next((group for group in (*metric.groups, *metric.main) if group not in suite.groups), None)
    if unknown is not None:
        raise InputError(f"{here} is in group '{unknown}', but the suite has {', '.join(suite.groups)}")
    if not set(metric.main) <= set(metric.groups):
        raise InputError(f"{here}: main must be among its groups {', '.join(metric.groups)}")
    if metric.unread and metric.main:
        raise InputError(f"{here}: a share of unread answers cannot be a main metric")
    if metric.better == "lower" and metric.companions is None:
        raise InputError(
            f"{here}: lower is better, so name the metric that shows when a model lowers it by "
            'saying less: companions=("coverage",), or companions=() if an empty answer does not lower it'
        )
    for group in metric.groups:
        for other_group, other in suite.companions(group, metric.name):
            if other == metric.name or (other_group, other) not in all_metrics(suite):
                raise InputError(
                    f"{here} names the companion '{other_group}/{other}', which the suite "
                    f"does not have; its metrics: {', '.join(m.name for m in suite.metrics)}"
                )
    if metric.ratio is not None:
        check_ratio(metric, here)


def check_ratio(metric: Metric, here: str) -> None:
    """Raise InputError unless a metric's value is the ratio that it declares, on which exact methods are based."""
    assert metric.ratio is not None
    numerator, denominator = metric.ratio
    names = tuple(dict.fromkeys(metric.ratio))
    sums = np.array([[2.0, 5.0], [7.0, 11.0]])[:, : len(names)]
    try:
        values = values_at(metric, names, sums)
    except KeyError as error:
        raise InputError(
            f"{here}: its value uses the count {error}, but ratio names only {numerator} and {denominator}"
        ) from error
    if not np.allclose(values, sums[:, 0] / sums[:, -1], rtol=1e-12):
        raise InputError(f"{here}: its value is not {numerator} / {denominator}, which it declares as its ratio")


def check_task(suite: Suite, task: Task) -> None:
    """Raise InputError for a task whose items, functions or identity cannot be used."""
    where = f"suite {suite.name}: load()"
    if (problem := misfit(task)) is not None:
        raise InputError(f"{where}: {problem}")
    plugins.check_call(task.score, None, None, None)
    if task.joint is not None:
        plugins.check_call(task.joint, [])
    if task.extremes is not None:
        plugins.check_call(task.extremes, None)
    taken = next((name for name in OUR_FIELDS if name in task.identity), None)
    if taken is not None:
        raise InputError(f"{where}: identity may not contain '{taken}', which halbench adds to the signature itself")
    check_json(task.identity, f"{where}: identity")
    check_items(suite, task.items)


def check_items(suite: Suite, items: Sequence[Item]) -> None:
    """Raise InputError for items that share an id, are in no reported group, or share a cluster by accident."""
    where = f"suite {suite.name}: items"
    for item in items:
        plugins.checked(item, Item, where)
        if (problem := misfit(item)) is not None:
            raise InputError(f"{where}: '{item.id}': {problem}")
        check_json(item.truth, f"{where}: '{item.id}': truth")
    repeated = next((id for id, times in Counter(item.id for item in items).items() if times > 1), None)
    if repeated is not None:
        raise InputError(f"suite {suite.name}: two items have the id '{repeated}'")
    reported = {member for members in suite.groups.values() for member in members}
    stray = next((item for item in items if item.group not in reported), None)
    if stray is not None:
        raise InputError(
            f"suite {suite.name}: item '{stray.id}' is of group '{stray.group}', which is in none of the suite's groups "
            f"({', '.join(suite.groups)})"
        )
    by_cluster: dict[str, Item] = {}
    for item in items:
        other = by_cluster.setdefault(item.cluster, item)
        if item.images != other.images and item.cluster == "+".join(path.name for path in item.images):
            raise InputError(
                f"{where}: '{other.id}' and '{item.id}' show different images of the same name, {item.cluster}; rename the "
                "files, or set Item.cluster"
            )


def check_json(value: Any, where: str) -> None:
    """Raise InputError for a value that JSON does not have (NaN, an object)."""
    try:
        dumps(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: cannot be written as JSON ({error})") from error


def checked_score(task: Task, item: Item, response: Response, judgement: Judgement | None) -> Score:
    """The score of a response. Raises InputError if score() returns one that cannot be counted."""
    where = partial("{}: score() of item '{}'".format, plugins.source_line(task.score), item.id)
    score = plugins.checked(task.score(item, response, judgement), Score, where())
    if (problem := misfit(score)) is not None:
        raise InputError(f"{where()}: {problem}")
    if (score.item, score.cluster, score.group) != (item.id, item.cluster, item.group):
        raise InputError(
            f"{where()}: returned item '{score.item}', cluster '{score.cluster}' and group '{score.group}' instead of the "
            "item's own; build it with Score.of(item, ...)"
        )
    check_counts(score.counts, where)
    check_json(score.evidence, f"{where()}: evidence")
    return score


def check_counts(counts: Mapping[str, Any], where: Any) -> None:
    """Raise InputError for counts that are not finite numbers by name."""
    for name, count in counts.items():
        if not isinstance(name, str) or not isinstance(count, Real | np.bool_) or not math.isfinite(count):
            raise InputError(f"{where()}: count {name!r}: expected a finite number, found {count!r:.60}")


def with_joint_counts(task: Task, scores: Sequence[Score]) -> list[Score]:
    """Scores with the counts that need several answers at once. Raises InputError if joint() loses or changes a score."""
    if task.joint is None:
        return list(scores)
    kept = [(score.item, score.cluster, score.group, score.state, dict(score.counts)) for score in scores]
    returned = task.joint(list(scores))
    where = f"{plugins.source_line(task.joint)}: joint()"
    joined = list(returned) if isinstance(returned, Sequence) else []
    for score in joined:
        plugins.checked(score, Score, where)
    if [(score.item, score.cluster, score.group, score.state) for score in joined] != [row[:-1] for row in kept]:
        raise InputError(
            f"{where}: expected the {len(kept)} scores that it got, in their order, with counts added; found "
            "other items, clusters, groups or states"
        )
    for score, (*_, counts) in zip(joined, kept, strict=True):
        check_counts(score.counts, lambda item=score.item: f"{where}: item '{item}'")
        if not counts.items() <= score.counts.items():
            raise InputError(f"{where}: item '{score.item}': changed or removed a count; counts may only be added")
    return joined


def matched_ids(suite: Suite, items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str]:
    """The item that each row of a response file answers. Raises InputError if match() returns anything else."""
    ids = suite.match(items, rows)
    where = f"{plugins.source_line(suite.match)}: match()"
    if not isinstance(ids, Sequence) or len(ids) != len(rows):
        found = f"{len(ids)}" if isinstance(ids, Sequence) else type(ids).__name__
        raise InputError(f"{where}: expected an item id for each of {len(rows)} rows, found {found}")
    known = {item.id for item in items}
    unknown = next((id for id in ids if id not in known), None)
    if unknown is not None:
        raise InputError(f"{where}: returned '{unknown}', which is no item's id")
    return list(ids)


def all_metrics(suite: Suite) -> dict[Key, Metric]:
    """(group, metric name) -> metric."""
    return {(group, metric.name): metric for metric in suite.metrics for group in metric.groups}


def values_at(metric: Metric, names: Sequence[str], sums: Floats) -> Floats:
    """A metric at rows of summed counts [n, K] -> [n], nan if undefined. Raises KeyError for a count that is not among them,
    and InputError if its formula does not work on arrays."""
    try:
        values = evaluate(metric, names, sums)
    except KeyError:
        raise
    except Exception as error:  # the suite author's code may raise anything
        line = plugins.users_mistake(error) or f"{plugins.source_line(metric.value)}: {type(error).__name__}: {error}"
        raise InputError(f"{line}; {formula_rule(metric)}") from error
    if values.shape != (len(sums),):
        raise InputError(
            f"{plugins.source_line(metric.value)}: returned shape {list(values.shape)} for arrays of {len(sums)} sums "
            f"({formula_rule(metric)})"
        )
    return values


def formula_rule(metric: Metric) -> str:
    """What a metric's formula must do, for messages."""
    return f"value of metric '{metric.name}' maps names of counts to a number, element by element on NumPy arrays"


def value_at(metric: Metric, names: Sequence[str], totals: Floats) -> float | None:
    """A metric at summed counts [K]; nan if undefined, None if it needs other counts."""
    try:
        return float(values_at(metric, names, np.stack([totals] * 3))[0])
    except KeyError:
        return None
