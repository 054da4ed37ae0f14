"""A training folder: all that one training run leaves.

    training.json          what was asked (settings), what was seen (identity), and the fingerprint of the result, as runs
                           of it record theirs; status "running", then "complete", written last
    log.jsonl              one row per step: loss, its terms, log-probs, margins, gradient norm, speed, memory
    checkpoint-120/        what a killed run goes on from
    adapter_config.json, adapter_model.safetensors     the result, which `halbench run --model DIR` takes as it is

A folder belongs to one set of settings; opening it with others is refused with the fields that differ.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.records import as_json, read_json, read_jsonl, write_json, write_jsonl
from halbench.run_folder import LOCK, differing_fields

FORMAT = 1
FILE = "training.json"
LOG = "log.jsonl"


@contextmanager
def held(folder: Path, file: str = FILE) -> Iterator[None]:
    """Only one run at a time writes a training folder, and never into somebody else's files. file: that marks it as ours."""
    try:
        if not (folder / file).is_file() and folder.is_dir() and any(entry.name != LOCK for entry in folder.iterdir()):
            raise InputError(f"{folder} is not empty and holds no {file}. Choose another --out")
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / LOCK).open("w")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}). Choose another --out") from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"{folder}: another halbench trains here; wait for it or choose another --out") from error
        yield


def read_training(folder: Path) -> dict[str, Any]:
    """A folder's training.json."""
    path = folder / FILE
    if not path.is_file():
        raise InputError(f"{folder}: no {FILE} here; expected a folder made by halbench train")
    found = read_json(path)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path}: not format {FORMAT}, which this halbench reads")
    return found


def claim(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Take a folder for these settings; True where training there is complete. Refuses other settings' folder."""
    wanted = as_json(settings)
    if (folder / FILE).is_file():
        found = read_training(folder)
        differing = differing_fields(found["settings"], wanted)
        if differing:
            raise InputError(
                f"{folder} was trained with other settings ({'; '.join(differing)}). Choose another --out, or remove it"
            )
        return bool(found["status"] == "complete")
    write_json(folder / FILE, {"format": FORMAT, "status": "running", "settings": wanted})
    return False


def finish(folder: Path, found: Mapping[str, Any]) -> None:
    """Write the record of a complete run, as the last file."""
    write_json(folder / FILE, {"format": FORMAT, "status": "complete", **found})


# What an optimizer leaves: of one process or DDP, of FSDP whole or in shards, of DeepSpeed.
OPTIMIZER = ("optimizer.pt", "optimizer.bin", "optimizer_0", "global_step*")


def last_checkpoint(out: Path, processes: int) -> Path | None:
    """The newest checkpoint that was written to its end; half a one is left by a kill while saving."""
    states = [f"rng_state_{rank}.pth" for rank in range(processes)] if processes > 1 else ["rng_state.pth"]
    found = sorted(out.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    return next((path for path in reversed(found) if is_whole(path, states)), None)


def is_whole(checkpoint: Path, states: Sequence[str]) -> bool:
    """Whether all files are there and the one written last can be read."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    has_optimizer = any(any(checkpoint.glob(name)) for name in OPTIMIZER)
    return has_optimizer and all((checkpoint / name).is_file() for name in states)


def keep_log(path: Path, step: int) -> None:
    """Cut the log back to the step that training goes on from."""
    if path.is_file():
        write_jsonl(path, [row for _, row in read_jsonl(path, torn_tail=True) if row["step"] <= step])
