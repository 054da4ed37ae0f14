"""A training folder: everything that one training run writes.

    training.json          settings, identity (hashes of the data that was trained on) and the result's fingerprint, the
                           one that runs of the result record; status "running", then "complete", written last
    log.jsonl              one row per step: loss, its terms, log-probs, margins, gradient norm, speed, memory
    checkpoint-120/        from which a killed run resumes
    adapter_config.json, adapter_model.safetensors     the result; `halbench run --model DIR` takes the folder

A folder belongs to one set of settings; opening it with others is refused, naming the fields that differ.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from halbench.errors import InputError
from halbench.files.records import as_json, differing_fields, from_row, read_json, read_jsonl, write_json, write_jsonl
from halbench.folders.lock import lock_folder

FORMAT = 1
TRAINING = "training.json"

# Files of the optimizer's state: of one process or DDP, of FSDP whole or in shards, of DeepSpeed.
OPTIMIZER_FILES = ("optimizer.pt", "optimizer.bin", "optimizer_0", "global_step*")

NOT_PART_OF_METHOD = ("seed", "micro_batch_size", "gradient_checkpointing", "save_steps")
"""Recipe fields in which two trainings of one method may differ: the seed, and what trades time for memory."""


@dataclass(frozen=True)
class TrainingRecord:
    """What a complete training was. method: name -> value of everything that shapes the result, except pairs and seed.
    result: fingerprint of the adapter or the weights, None if none was recorded."""

    objective: str
    seed: int
    learning_rate: float
    pairs_hash: str
    method: Mapping[str, Any]
    result: str | None


@dataclass(frozen=True)
class ObjectiveSettings:
    """The objective in training.json. file: of a user's own one, its hash."""

    name: str
    config: Mapping[str, Any]
    file: str | None = None


@dataclass(frozen=True)
class RecipeSettings:
    """The recipe in training.json, as far as halbench reads it by name."""

    seed: int
    learning_rate: float
    order: str | None = None


@dataclass(frozen=True)
class TrainingSettings:
    """The settings in training.json."""

    objective: ObjectiveSettings
    recipe: RecipeSettings
    model: str
    dtype: str


@dataclass(frozen=True)
class Identity:
    """The data proof in training.json; see baselines/training/data_proof.py."""

    pairs: str
    used: int
    dropped: tuple[str, ...]
    unreadable: int
    seed: int
    order: tuple[str, ...]
    views: Mapping[str, Mapping[str, Any]]
    model: str
    reference: str


@dataclass(frozen=True)
class TrainingFile:
    """training.json as it is read: every field that something depends on, each of its type."""

    format: int
    status: Literal["running", "complete"]
    settings: TrainingSettings
    identity: Identity | None = None
    steps: int | None = None
    seconds: float | None = None
    result: str | None = None


@dataclass(frozen=True)
class LogRow:
    """One row of log.jsonl: a step and numbers."""

    step: int
    values: Mapping[str, float]


class TrainingFolder:
    """The files of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record_path = path / TRAINING
        self.log_path = path / "log.jsonl"

    def lock(self) -> AbstractContextManager[None]:
        """Only one process at a time writes a training folder."""
        return lock_folder(self.path, TRAINING)

    def record(self) -> dict[str, Any]:
        """training.json. Raises InputError if it is missing, damaged or of another format."""
        if not self.record_path.is_file():
            raise InputError(f"{self.path}: no {TRAINING}; expected a folder made by halbench train")
        record = read_json(self.record_path)
        format = record.get("format") if isinstance(record, dict) else None
        if format != FORMAT:
            raise InputError(f"{self.record_path}: format {format}; this halbench reads format {FORMAT}")
        read = from_row(TrainingFile, record, str(self.record_path), others=True)
        if read.status == "complete" and None in (read.identity, read.steps, read.seconds):
            raise InputError(f"{self.record_path}: expected identity, steps and seconds of a complete training")
        return cast(dict[str, Any], record)

    def complete_record(self) -> TrainingRecord:
        """The record of a finished training. Raises InputError for any other."""
        record = self.record()
        if record["status"] != "complete":
            raise InputError(f"{self.path}: training is not finished; repeat its command to resume")
        recipe, objective = record["settings"]["recipe"], record["settings"]["objective"]
        return TrainingRecord(
            objective=objective["name"],
            seed=recipe["seed"],
            learning_rate=recipe["learning_rate"],
            pairs_hash=record["identity"]["pairs"],
            method={
                **{name: value for name, value in recipe.items() if name not in NOT_PART_OF_METHOD},
                **objective["config"],
                "file": objective.get("file"),
                "model": record["settings"]["model"],
                "dtype": record["settings"]["dtype"],
            },
            result=record.get("result"),
        )

    def is_complete(self) -> bool:
        """Whether a training was finished here."""
        return self.record_path.is_file() and self.record().get("status") == "complete"

    def open_or_create(self, settings: Mapping[str, Any]) -> bool:
        """Create the folder for these settings, or check that it has the same ones; True if its training is complete."""
        settings = as_json(settings)
        if self.record_path.is_file():
            record = self.record()
            if differing := differing_fields(record["settings"], settings):
                raise InputError(
                    f"{self.path} was trained with other settings ({'; '.join(differing)}). "
                    "Choose another --out, or remove it"
                )
            return bool(record["status"] == "complete")
        write_json(self.record_path, {"format": FORMAT, "status": "running", "settings": settings})
        return False

    def finish(self, fields: Mapping[str, Any]) -> None:
        """Write the record of a complete training, as the last file."""
        write_json(self.record_path, {"format": FORMAT, "status": "complete", **fields})

    def last_checkpoint(self, processes: int) -> Path | None:
        """The newest complete checkpoint; a kill while saving leaves an incomplete one."""
        states = [f"rng_state_{rank}.pth" for rank in range(processes)] if processes > 1 else ["rng_state.pth"]
        checkpoints = sorted(self.path.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        return next((path for path in reversed(checkpoints) if is_whole(path, states)), None)

    def log(self) -> list[dict[str, Any]]:
        """The rows of the log, one per step; [] if there is no log."""
        if not self.log_path.is_file():
            return []
        rows = []
        for line, row in read_jsonl(self.log_path, torn_tail=True):
            where = f"{self.log_path}:{line}"
            from_row(LogRow, {"step": row.get("step"), "values": row}, where)
            rows.append(row)
        return rows

    def cut_log(self, step: int) -> None:
        """Cut the log back to the step from which training resumes."""
        if self.log_path.is_file():
            write_jsonl(self.log_path, [row for row in self.log() if row["step"] <= step])


def is_whole(checkpoint: Path, states: Sequence[str]) -> bool:
    """Whether a checkpoint has all its files and the one written last can be read."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    has_optimizer = any(any(checkpoint.glob(name)) for name in OPTIMIZER_FILES)
    return has_optimizer and all((checkpoint / name).is_file() for name in states)
