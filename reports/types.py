"""What reports are made of: what was read from folders, and the tables, figures and pages that kinds make of it.

A kind is a module of `reports/kinds/`; its file name is its name:

    TITLE = "Ablation"
    def build(reading: Reading, options: Options) -> list[Table | Figure | Page]: ...

It is pure: no files are written and nothing is printed. One that has nothing to show raises `NothingToShow` with the reason.
Numbers stay unrounded fractions or native units; rounding, arrows, bold and marks are the writers' (reports/write.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from halbench.types import Better, Unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

Theme = Literal["light", "dark"]


class NothingToShow(Exception):
    """A kind has no table or figure for what was read; the message says why and what would give one."""


@dataclass(frozen=True)
class ReadRun:
    """One run folder. name: unique among all that was read. training: the training folder that its model came from.

    objective, seed, learning_rate, pairs_hash: of that training; None where the model was not trained by us. settings: all
    that shaped it but the seed.
    role: "base" and "truncated" are the controls of an ablation, "cell" what it trained, "run" everything else.
    """

    name: str
    path: Path
    suite: str
    signature: str
    manifest: Mapping[str, Any]
    role: Literal["run", "base", "truncated", "cell"] = "run"
    training: Path | None = None
    objective: str | None = None
    seed: int | None = None
    learning_rate: float | None = None
    pairs_hash: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadTraining:
    """One training folder: its record (training.json) and its log, a row per step. settings: see ReadRun."""

    name: str
    path: Path
    objective: str
    seed: int
    learning_rate: float
    pairs_hash: str
    settings: Mapping[str, Any]
    record: Mapping[str, Any]
    log: "pd.DataFrame"


@dataclass(frozen=True)
class Reading:
    """All that was found in the folders given. results: the tidy frame of reports/frame.py. skipped: a clear line for each
    folder that was left out. apart: a clear line for each set of runs that cannot stand beside another, with what differs."""

    runs: Sequence[ReadRun]
    trainings: Sequence[ReadTraining]
    results: "pd.DataFrame"
    skipped: Sequence[str]
    apart: Sequence[str]


@dataclass(frozen=True)
class Options:
    """What a user says of a report. baseline: name of the run (or of its objective) that others are compared with.
    suite_file: of a suite of the user's own. data, images: where the suites' data and images are, None for the default. samples: most that one page of samples holds.
    level, resamples, seed: of the paired tests."""

    baseline: str | None = None
    suite_file: str | None = None
    samples: int = 300
    data: Path | None = None
    images: Path | None = None
    level: float = 0.95
    resamples: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class Column:
    """How one displayed column is made of the frame's columns; the names below are columns of the frame.

    kind: "text", "value", "difference" or "count". unit, better: fixed, or None where the frame's own columns
    "unit" and "better" tell them row by row. low, high: interval, shown with the value. lowest, highest: of several seeds.
    mark: text set behind the value.
    """

    label: str
    source: str
    kind: Literal["text", "value", "difference", "count"] = "text"
    unit: Unit | None = None
    better: Better | None = None
    low: str | None = None
    high: str | None = None
    lowest: str | None = None
    highest: str | None = None
    mark: str | None = None


@dataclass(frozen=True)
class Table:
    """name: file name without ending. note: what it means, in a sentence or a few. frame: all raw numbers, as the CSV has them.
    group: column of the frame at whose changes a rule is drawn. apart: a column of booleans; True rows (published ones)
    are set in another way."""

    name: str
    title: str
    note: str
    frame: "pd.DataFrame"
    columns: Sequence[Column]
    group: str | None = None
    apart: str | None = None


@dataclass(frozen=True)
class Figure:
    """draw(theme) -> a matplotlib figure that the caller closes. note: what is to be seen, with n and what the bars are."""

    name: str
    title: str
    note: str
    draw: "Callable[[Theme], Drawing]"


@dataclass(frozen=True)
class Page:
    """A page of its own. html: a whole self-contained document."""

    name: str
    title: str
    note: str
    html: str
