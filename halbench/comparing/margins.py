"""Margins: the largest tolerated worsening against a baseline, in the metric's own unit (0.01 = one percentage point).

    margins.yaml
        amber:
          generative/chair: 0.01
          cover: 0.02    # without a group: in every group of the runs

A margin on a metric binds its companions as well (Metric.companions), so that a model that hallucinates less by saying less
does not pass. For companions without a margin in the file, the suites' own margins apply, which are printed.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halbench.comparing.comparison import Pairing
from halbench.errors import InputError, did_you_mean
from halbench.files.yaml_files import read_yaml
from halbench.types import Metric, Suite, Unit

Key = tuple[str, str]
"""(group, metric name)."""

SHIPPED: Mapping[Unit, float] = {"fraction": 0.02, "rating": 0.3}
"""Margins of metrics for which neither the user nor the suite has one."""
SHORTER = 0.1
"""Share of the baseline's value by which a length may fall, if neither the user nor the suite has a margin for it."""


@dataclass(frozen=True)
class Margin:
    """A tolerated worsening. amount: None for the share SHORTER of the baseline's value. explicit: chosen by the user.
    bound_by: the metric whose margin binds this one; None if it has a margin of its own. falling: whether only a decrease
    counts, for a metric without a direction."""

    amount: float | None
    explicit: bool
    bound_by: str | None = None
    falling: bool = False


def resolve_margins(source: Path | Mapping[str, float] | None, pairing: Pairing) -> dict[Key, Margin]:
    """The margin of every gated (group, metric): those in a file or mapping, else the suite's own for its main metrics; and
    those of their companions."""
    margins = shipped_margins(pairing) if source is None else margins_given(source, pairing)
    open_keys = list(margins)
    while open_keys:
        group, name = open_keys.pop()
        for key, metric, falling in bound_companions(group, name, pairing):
            if key not in margins:
                margins[key] = Margin(shipped_amount(metric), explicit=False, bound_by=name, falling=falling)
                open_keys.append(key)
    return margins


def margins_given(source: Path | Mapping[str, float], pairing: Pairing) -> dict[Key, Margin]:
    """The user's margins; one with a group takes precedence over one without."""
    suite = pairing.suite
    path, content = (source, read_yaml(source)) if isinstance(source, Path) else (Path("margins"), dict(source))
    margins = checked_margins(content, path, suite)
    everything = [(group, metric) for metric in suite.metrics for group in metric.groups]
    known = {metric.name for _, metric in everything} | {f"{group}/{metric.name}" for group, metric in everything}
    resolved: dict[Key, Margin] = {}
    for name in sorted(margins, key=lambda name: "/" in name):
        if name not in known:
            raise InputError(f"{path}: unknown metric '{name}' of suite '{suite.name}'{did_you_mean(name, known)}")
        matches = [(g, m) for g, m in pairing.candidates() if name in (m.name, f"{g}/{m.name}")]
        if not matches:
            raise InputError(f"{path}: margin on '{name}', but these runs have no scored responses for it")
        if margins[name] >= 1 and any(metric.unit == "fraction" for _, metric in matches):
            raise InputError(
                f"{path}: margin {margins[name]} of '{name}' allows anything; it is a fraction, 0.01 is one point"
            )
        resolved |= {(group, metric.name): Margin(margins[name], explicit=True) for group, metric in matches}
    return resolved


def shipped_margins(pairing: Pairing) -> dict[Key, Margin]:
    """The suite's own margin for every main metric that these runs have."""
    margins = {
        (group, metric.name): Margin(shipped_amount(metric), explicit=False)
        for group, metric in pairing.candidates()
        if group in metric.main and metric.better != "neither"
    }
    if not margins:
        raise InputError(
            f"suite '{pairing.suite.name}' has no default margins for these runs, which have no main metric with a direction "
            "(higher or lower is better); pass margins with --margins FILE"
        )
    return margins


def shipped_amount(metric: Metric) -> float | None:
    return metric.margin if metric.margin is not None else SHIPPED.get(metric.unit)


def bound_companions(group: str, name: str, pairing: Pairing) -> Iterator[tuple[Key, Metric, bool]]:
    """The companions that a margin on a metric binds, and whether only a decrease counts: those with a direction; those
    without one, such as a length, only if none of the others is a safeguard without companions of its own.

    Raises InputError if these runs lack a companion.
    """
    metrics = {(g, metric.name): metric for g, metric in pairing.candidates()}
    companions = []
    for key in pairing.suite.companions(group, name):
        if key not in metrics:
            raise InputError(
                f"a margin on {group}/{name} also applies to its companion {key[0]}/{key[1]}, but these runs have no scored "
                f"responses for {key[0]}/{key[1]}"
            )
        companions.append((key, metrics[key], metrics[key].better == "neither"))
    directed = [companion for companion in companions if not companion[2]]
    shows_it_alone = any(not metric.companions for _, metric, _ in directed)
    yield from directed if shows_it_alone else companions


def checked_margins(content: Any, path: Path, suite: Suite) -> dict[str, float]:
    """Margins by "metric" or "group/metric", from content with or without suite names on top. path: for messages."""
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected margins such as 'chair: 0.01', found {type(content).__name__}")
    by_suite = [isinstance(value, dict) for value in content.values()]
    if any(by_suite):
        if suite.name not in content:
            raise InputError(
                f"{path}: no margins for suite '{suite.name}'{did_you_mean(suite.name, map(str, content))}"
            )
        if isinstance(content[suite.name], dict) and not all(by_suite):
            raise InputError(
                f"{path}: expected margins or margins by suite, found both: {', '.join(map(str, content))}"
            )
        content = content[suite.name]
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected margins such as 'chair: 0.01' for suite '{suite.name}', found {content!r}")
    for name, margin in content.items():
        if type(margin) not in (int, float) or not 0 <= margin <= sys.float_info.max:
            raise InputError(
                f"{path}: margin of '{name}' must be a number from 0 up, written like 0.01; found {margin!r}"
            )
    return {str(name): float(margin) for name, margin in content.items()}
