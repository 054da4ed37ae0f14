"""A run folder: all that one run leaves, each file readable alone.

    manifest.json      what was run: suite, items, decoding, model, judge, versions; status "running", then "complete"
                       or "incomplete", written last
    responses.jsonl    one Response per line, appended and flushed one by one
    judgements.jsonl   one Judgement per line, every reply of the judge
    scores.jsonl       one Score per line: counts and evidence
    results.json       the Result rows

A folder belongs to one set of settings. Opening it with others is refused with the fields that differ, so that rows
made in two ways never stand in one file.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from halbench.errors import InputError
from halbench.records import as_json, dumps, from_row, read_json, read_jsonl, write_json
from halbench.types import Judgement, Response, Score

FORMAT = 1
LOCK = ".lock"
T = TypeVar("T", Response, Judgement, Score)


def differing_fields(found: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """'decoding.num_beams: 3 there, 1 here' for each setting in which two manifests differ."""
    differences: list[str] = []
    for key in sorted({*found, *wanted}):
        there, here = found.get(key), wanted.get(key)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            differences += differing_fields(there, here, f"{prefix}{key}.")
        elif there != here:
            differences.append(f"{prefix}{key}: {json.dumps(there)} there, {json.dumps(here)} here")
    return differences


class RunFolder:
    """The files of one run. Rows are appended and flushed one by one; a torn last line is cut off on opening."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_path = path / "manifest.json"
        self.responses_path = path / "responses.jsonl"
        self.judgements_path = path / "judgements.jsonl"
        self.scores_path = path / "scores.jsonl"
        self.results_path = path / "results.json"

    def manifest(self) -> dict[str, Any]:
        """The manifest; raises InputError where there is none or a newer halbench wrote it."""
        if not self.manifest_path.is_file():
            raise InputError(
                f"{self.path}: no manifest.json here; expected a run folder made by halbench run or score --out"
            )
        manifest = read_json(self.manifest_path)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            found = manifest.get("format") if isinstance(manifest, dict) else None
            raise InputError(f"{self.manifest_path}: format {found}; this halbench reads format {FORMAT}")
        return manifest

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Claim the folder for these settings: makes it, or checks that it was made with the same ones."""
        wanted = as_json(settings)  # compared as they come back from the file
        if self.manifest_path.is_file() and self.responses_path.is_file() and self.responses_path.stat().st_size:
            found = self.manifest().get("settings")
            differences = differing_fields(found if isinstance(found, dict) else {}, wanted)
            if differences:
                raise InputError(
                    f"{self.path} was made with other settings ({'; '.join(differences)}). Choose another --out, or remove it"
                )
        self.refuse_foreign()
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_manifest({"status": "running", "settings": wanted})

    def write_manifest(self, fields: Mapping[str, Any]) -> None:
        write_json(self.manifest_path, {"format": FORMAT, **fields})

    def refuse_foreign(self) -> None:
        """Raise InputError where the folder holds something else than a run."""
        if self.manifest_path.is_file() or not self.path.is_dir():
            return
        if any(entry.name != LOCK for entry in self.path.iterdir()):
            raise InputError(f"{self.path} is not empty and holds no manifest.json. Choose another --out")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Only one process at a time writes a run folder. Released by the system when the process dies."""
        new = not self.path.exists()
        try:
            self.refuse_foreign()
            self.path.mkdir(parents=True, exist_ok=True)
            opened = (self.path / LOCK).open("w")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}). Choose another --out") from error
        with opened as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    f"{self.path}: another halbench is writing this run folder; wait for it or choose another --out"
                ) from error
            try:
                yield
            finally:
                if new and [entry.name for entry in self.path.iterdir()] == [LOCK]:  # nothing came of it
                    (self.path / LOCK).unlink()
                    self.path.rmdir()

    def read(self, kind: type[T], path: Path) -> list[T]:
        """Rows of a file, without a torn last line; [] where there is no file."""
        if not path.is_file():
            return []
        return [from_row(kind, row, f"{path}:{line}") for line, row in read_jsonl(path, torn_tail=True)]

    @contextmanager
    def appending(self, path: Path) -> Iterator["RowWriter"]:
        """Append rows to a file, after cutting off a torn last line."""
        if path.is_file():
            data = path.read_bytes()
            if not data.endswith(b"\n"):
                os.truncate(path, data.rfind(b"\n") + 1)
        with path.open("a", encoding="utf-8") as file:
            yield RowWriter(file)


class RowWriter:
    """Writes one row a line and flushes it, so that a kill loses at most the row in flight."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, row: Any) -> None:
        try:
            self.file.write(dumps(row) + "\n")
            self.file.flush()
        except OSError as error:
            raise InputError(
                f"{self.file.name}: cannot be written ({error.strerror}); what came before is kept"
            ) from error
