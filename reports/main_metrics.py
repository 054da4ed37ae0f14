"""Which of a suite's metrics a table shows, and their headings, as the results themselves declare."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from halbench.terminal.formatting import ARROWS
from halbench.types import Better, Unit

UNITS: dict[Unit, str] = {"fraction": " (%)", "rating": "", "words": " (words)"}


@dataclass(frozen=True)
class MainMetric:
    """One column of a table. key: "group/metric". label: the heading, with direction and unit. companions: keys of the metrics
    that must be shown next to it. published: its name in tables of published results. description: a few words, for axes."""

    key: str
    better: Better
    unit: Unit
    label: str
    companions: tuple[str, ...]
    published: str | None
    description: str

    @property
    def group(self) -> str:
        return self.key.partition("/")[0]

    @property
    def metric(self) -> str:
        return self.key.partition("/")[2]

    @property
    def scale(self) -> int:
        """Factor of drawn values: fractions are drawn in percent."""
        return 100 if self.unit == "fraction" else 1


def main_metrics(results: pd.DataFrame) -> list[MainMetric]:
    """The headline metrics among these results, or for a suite that declares none all metrics of its first group; with each
    the companions without which it misleads."""
    rows: dict[str, Any] = {f"{row.group}/{row.metric}": row for row in results.itertuples()}
    keys: Sequence[str] = [key for key, row in rows.items() if row.main]
    if not keys and rows:
        first = next(iter(rows)).partition("/")[0]
        keys = [key for key, row in rows.items() if row.group == first and not row.unread]
    companions = {companion for key in keys for companion in rows[key].companions}
    keys = [key for key in rows if key in companions or key in keys]
    names = [key.partition("/")[2] for key in keys]
    return [main_metric(rows[key], names.count(key.partition("/")[2]) > 1) for key in keys]


def main_metric(row: Any, with_group: bool) -> MainMetric:
    name = f"{row.label}, {row.group.replace('_', ' ')}" if with_group else row.label
    return MainMetric(
        key=f"{row.group}/{row.metric}",
        better=row.better,
        unit=row.unit,
        label=heading(name, row.better, row.unit),
        companions=tuple(row.companions),
        published=row.published,
        description=row.description,
    )


def heading(name: str, better: Better, unit: Unit) -> str:
    """A metric's name with its direction and unit: "CHAIRi ↓ (%)"."""
    return f"{name}{ARROWS[better]}{UNITS[unit]}"
