"""An ablation's folder: every cell of an experiment, trained, run and scored, with its controls.

ablation.json                    settings, state of every cell in the experiment's order, and whether all cells
                                 trained on identical data
pairs/                           the pairs, if the experiment generates them
base/run                         the model as it is
truncated/run                    its answers without their last sentence
cells/mdpo-lr0.0002-seed1/       training.yaml, training/, run/, and the output of both in training.log, run.log
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from halbench.errors import InputError
from halbench.files.records import from_row, read_json, write_json
from halbench.folders.lock import lock_folder

FORMAT = 1
ABLATION = "ablation.json"

Role = Literal["base", "truncated", "cell", "run"]
"""What a run is to an ablation: one of its controls, a cell's run, or no part of it ("run")."""


@dataclass(frozen=True)
class PairsSettings:
    """The pairs in ablation.json. source: their path, or how they are made. hash: None until they are."""

    source: str | Mapping[str, Any]
    hash: str | None = None


@dataclass(frozen=True)
class AblationSettings:
    """The settings in ablation.json."""

    model: Mapping[str, Any]
    pairs: PairsSettings
    suite: Mapping[str, Any]
    limit: int | None


@dataclass(frozen=True)
class AblationFile:
    """ablation.json as it is read: every field that something depends on, each of its type."""

    format: int
    status: str
    settings: AblationSettings
    cells: Mapping[str, Mapping[str, Any]]


class AblationFolder:
    """The files of one ablation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record_path = path / ABLATION
        self.pairs = path / "pairs"
        self.base = path / "base" / "run"
        self.truncated = path / "truncated" / "run"

    def cell(self, name: str) -> Path:
        return self.path / "cells" / name

    def training(self, name: str) -> Path:
        """The training folder of a cell."""
        return self.cell(name) / "training"

    def run(self, name: str) -> Path:
        """The run folder of a cell."""
        return self.cell(name) / "run"

    def lock(self) -> AbstractContextManager[None]:
        """Only one process at a time writes an ablation's folder."""
        return lock_folder(self.path, ABLATION)

    def record(self) -> dict[str, Any]:
        """ablation.json. Raises InputError if it is damaged or of another format."""
        record = read_json(self.record_path)
        format = record.get("format") if isinstance(record, dict) else None
        if format != FORMAT:
            raise InputError(f"{self.record_path}: format {format}; this halbench reads format {FORMAT}")
        from_row(AblationFile, record, str(self.record_path), others=True)
        return cast(dict[str, Any], record)

    def write_record(self, record: dict[str, Any]) -> None:
        write_json(self.record_path, {"format": FORMAT, **record})


def ablation_of(run: Path) -> tuple[AblationFolder, Role] | None:
    """The ablation that a run folder is part of, and its role there; None for any other run."""
    for folder, role in ((run.parent.parent, run.parent.name), (run.parent.parent.parent, "cell")):
        if role in ("base", "truncated", "cell") and (folder / ABLATION).is_file():
            return AblationFolder(folder), cast(Role, role)
    return None
