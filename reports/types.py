"""What reports are made of: what was read from folders, and the tables, figures and pages built from it.

A kind is a module of `reports/kinds/`; its file name is its name:

    TITLE = "Ablation"
    ORDER = 10  # where it comes in `report all`; a kind without it comes last
    def build(reading: ReportInput, options: Options) -> list[Table | Figure | Page]: ...

`build` is pure: it writes no files and prints nothing. It raises `NothingToShow` with the reason if it has nothing to show.
Numbers stay unrounded fractions or native units; reports/write.py rounds them and adds arrows, bold and marks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from halbench.evaluation.coverage import Coverage
from halbench.folders.ablation import Role
from halbench.folders.manifest import Manifest
from halbench.statistics.resampling import STANDARD, Resampling
from halbench.types import Better, Unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

Theme = Literal["light", "dark"]


class NothingToShow(Exception):
    """A kind has no table or figure for what was read; the message says why, and what it needs."""


@dataclass(frozen=True)
class LoadedRun:
    """One scored run folder. name: unique in this report. role: "base" and "truncated" are the controls of an ablation,
    "cell" one of its trained models, "run" any other run. training: the training of its model, None if halbench did not
    train it; objective, seed, learning_rate, pairs_hash and settings are those of the training."""

    name: str
    path: Path
    suite: str
    signature: str
    manifest: Manifest
    coverage: Coverage
    role: Role = "run"
    training: "LoadedTraining | None" = None

    @property
    def label(self) -> str:
        """The name, with what its coverage lacks: "blip2 (95/96 scored)"."""
        return marked(self.name, [self])

    @property
    def objective(self) -> str | None:
        return self.training.objective if self.training else None

    @property
    def seed(self) -> int | None:
        return self.training.seed if self.training else None

    @property
    def learning_rate(self) -> float | None:
        return self.training.learning_rate if self.training else None

    @property
    def pairs_hash(self) -> str | None:
        return self.training.pairs_hash if self.training else None

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.training.settings if self.training else {}


def marked(name: str, runs: "Sequence[LoadedRun]") -> str:
    """A name for these runs, with what their coverage lacks: "dpo (95/96 scored)"."""
    marks = ", ".join(mark for run in runs if (mark := run.coverage.mark()))
    return f"{name} ({marks})" if marks else name


@dataclass(frozen=True)
class LoadedTraining:
    """One complete training; see TrainingRecord in halbench/folders/training.py. settings: its `method`. log: one row per
    step. position: its index among the cells of an ablation, None outside of one."""

    name: str
    path: Path
    position: int | None
    objective: str
    seed: int
    learning_rate: float
    pairs_hash: str
    settings: Mapping[str, Any]
    result: str | None
    log: "pd.DataFrame"


@dataclass(frozen=True)
class ReportInput:
    """Everything read from the folders. results: the tidy frame of reports/reading.py. skipped: one line for each folder
    that was left out, with the reason. incomparable: one line for each set of runs that cannot share a table with another,
    with what differs."""

    runs: Sequence[LoadedRun]
    trainings: Sequence[LoadedTraining]
    results: "pd.DataFrame"
    skipped: Sequence[str]
    incomparable: Sequence[str]

    @property
    def incomplete(self) -> list[str]:
        """One line for each incomplete run, with what is wrong with it."""
        return [f"{run.name}: {run.coverage.complaint()}" for run in self.runs if not run.coverage.complete]


@dataclass(frozen=True)
class Options:
    """A user's choices for a report. baseline: name of the run, or objective, that others are compared with. sort:
    "suite/metric" or "suite/group/metric" by which models are ordered over all suites. suite_file:
    file of the user's own suite. samples: largest number of samples on one page. data, images: folders of the suites' data
    and images, None for the default ones. resampling: of the paired tests."""

    baseline: str | None = None
    sort: str | None = None
    suite_file: str | None = None
    samples: int = 300
    data: Path | None = None
    images: Path | None = None
    resampling: Resampling = STANDARD


@dataclass(frozen=True)
class Column:
    """One displayed column. source, low, high, lowest, highest and mark name columns of the table's frame.

    unit, better: those of the whole column, or None if the frame's columns "unit" and "better" give them row by row.
    low, high: interval, shown with the value. lowest, highest: range over seeds. mark: text shown after the value.
    over: heading above this column and its neighbours with the same one.
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
    over: str = ""


@dataclass(frozen=True)
class Table:
    """name: file name without ending. note: what the table means, in a few sentences. frame: all numbers unrounded, as in the
    CSV. group: column of the frame; a rule is drawn where its value changes. italic: column of booleans; rows with True
    (published results) are in italics."""

    name: str
    title: str
    note: str
    frame: "pd.DataFrame"
    columns: Sequence[Column]
    group: str | None = None
    italic: str | None = None


@dataclass(frozen=True)
class Figure:
    """draw(theme) -> a matplotlib figure. note: the caption, which says what bars and bands are."""

    name: str
    title: str
    note: str
    draw: "Callable[[Theme], Drawing]"


@dataclass(frozen=True)
class Page:
    """A page of its own. html: a complete, self-contained document."""

    name: str
    title: str
    note: str
    html: str
