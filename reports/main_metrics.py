"""Which of a suite's metrics stand in a table, and how they are called there.

CHAIR-type metrics never stand without coverage and length, since a model lowers them by saying less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from halbench.formatting import ARROWS
from halbench.types import Better, Unit

MAIN: Mapping[str, tuple[str, ...]] = {
    "amber": (
        *("generative/chair", "generative/cover", "generative/hal", "generative/cog"),
        *("discriminative/accuracy", "discriminative/f1", "all/amber_score"),
    ),
    "chair": ("all/chair_s", "all/chair_i", "all/recall", "all/length"),
    "mmhal": ("all/score", "all/hallucination_rate"),
    "object_halbench": ("all/response_hall", "all/object_hall", "all/recall", "all/length"),
    "pope": ("pooled/accuracy", "pooled/f1", "pooled/yes_ratio", "all/accuracy", "all/f1", "all/yes_ratio"),
    "scenes": (
        *("descriptions/chair", "descriptions/hal", "descriptions/cover", "descriptions/cog", "descriptions/length"),
        "questions/accuracy",
    ),
}
NAMES = {"f1": "F1", "chair": "CHAIR", "chair_s": "CHAIRs", "chair_i": "CHAIRi", "amber_score": "AMBER score"}
SUFFIX: Mapping[Unit, str] = {"fraction": " (%)", "rating": "", "words": " (words)"}


@dataclass(frozen=True)
class MainMetric:
    """One column of a table. key: "group/metric"; label: as people read it, with direction and unit."""

    key: str
    better: Better
    unit: Unit
    label: str

    @property
    def group(self) -> str:
        return self.key.partition("/")[0]

    @property
    def metric(self) -> str:
        return self.key.partition("/")[2]


def metric_name(metric: str) -> str:
    """ "CHAIRi", "Hallucination rate": a metric's name as papers write it."""
    return NAMES.get(metric, metric.replace("_", " ").capitalize())


def main_metrics(suite: str, results: pd.DataFrame) -> list[MainMetric]:
    """Those of MAIN that any of these results hold; of a user's own suite all metrics of its first group."""
    held = {f"{row.group}/{row.metric}": row for row in results.itertuples()}
    keys: Sequence[str] = [key for key in MAIN.get(suite, ()) if key in held]
    if not keys and held:
        first = next(iter(held)).partition("/")[0]
        keys = [key for key in held if key.partition("/")[0] == first]
    names = [key.partition("/")[2] for key in keys]
    return [main_metric(key, held[key], names.count(key.partition("/")[2]) > 1) for key in keys]


def main_metric(key: str, row: Any, with_group: bool) -> MainMetric:
    group, _, metric = key.partition("/")
    name = f"{metric_name(metric)}, {group.replace('_', ' ')}" if with_group else metric_name(metric)
    return MainMetric(key, row.better, row.unit, f"{name}{ARROWS[row.better]}{SUFFIX[row.unit]}")
