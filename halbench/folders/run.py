"""A run folder: everything that one run writes; each file can be read on its own.

    manifest.json      what was run: suite, items, decoding, model, judge, versions; status "running", then "complete"
                       or "incomplete", written last
    responses.jsonl    one Response per line, appended and flushed one by one
    judgements.jsonl   one Judgement per line, every reply of the judge
    scores.jsonl       one Score per line: counts and evidence
    results.json       the Result rows

A folder belongs to one set of settings. Opening it with others is refused, naming the fields that differ, so that one
file never mixes rows from two settings.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from halbench.errors import InputError
from halbench.files.interruption import uninterrupted
from halbench.files.records import (
    as_json,
    differing_fields,
    dumps,
    file_hash,
    from_row,
    read_json,
    read_jsonl,
    write_json,
)
from halbench.folders.lock import lock_folder, refuse_unrelated
from halbench.folders.manifest import Manifest
from halbench.types import Judgement, Response, Result, Score

FORMAT = 2
OLDEST_RESPONSES = 1
"""Oldest format whose responses can be scored again."""
MANIFEST = "manifest.json"
T = TypeVar("T", Response, Judgement, Score)


class RunFolder:
    """The files of one run. Rows are appended and flushed one by one; a torn last line is cut off on opening."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_path = path / MANIFEST
        self.responses_path = path / "responses.jsonl"
        self.judgements_path = path / "judgements.jsonl"
        self.scores_path = path / "scores.jsonl"
        self.results_path = path / "results.json"

    def manifest(self, oldest: int = FORMAT) -> Manifest:
        """The manifest. Raises InputError if it is missing, damaged or of another format. oldest: format that is accepted."""
        return from_row(Manifest, self.manifest_row(oldest), str(self.manifest_path), others=True)

    def scored_manifest(self) -> Manifest:
        """The manifest of a scored run whose files are as they were scored."""
        manifest = self.manifest()
        again = f"halbench score --responses {self.path} --out DIR"
        if manifest.status == "running":
            raise InputError(f"{self.path}: not finished; repeat its command to resume it")
        if manifest.status == "generated":
            raise InputError(f"{self.path}: not scored yet ({manifest.status}); score it: {again}")
        for name in ("signature", "signature_fields"):
            if not getattr(manifest, name):
                raise InputError(
                    f"{self.manifest_path}: missing field '{name}' of a scored run; score it again: {again}"
                )
        for path in self.scored_files():
            if file_hash(path) != manifest.files.get(path.name, file_hash(path)):
                raise InputError(f"{path} has changed since the run was scored; score it again: {again}")
        return manifest

    def scored_files(self) -> list[Path]:
        """The files that a score rests on, as far as they exist."""
        return [path for path in (self.responses_path, self.scores_path, self.results_path) if path.is_file()]

    def manifest_row(self, oldest: int = FORMAT) -> dict[str, Any]:
        """The manifest as JSON."""
        if not self.manifest_path.is_file():
            raise InputError(f"{self.path}: no {MANIFEST}; expected a run folder made by halbench run or score --out")
        manifest = read_json(self.manifest_path)
        format = manifest.get("format") if isinstance(manifest, dict) else None
        if type(format) is int and oldest <= format <= FORMAT:
            return cast(dict[str, Any], manifest)
        if type(format) is int and format in range(OLDEST_RESPONSES, oldest):
            raise InputError(
                f"{self.path} was written by an earlier halbench (format {format}); score its responses again: "
                f"halbench score --responses {self.path} --out DIR"
            )
        raise InputError(f"{self.manifest_path}: format {format}; this halbench reads format {FORMAT}")

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Create the folder for these settings, or check that it was created with the same ones."""
        settings = as_json(settings)  # as they come back from the file
        if self.manifest_path.is_file() and self.responses_path.is_file() and self.responses_path.stat().st_size:
            recorded = self.manifest_row().get("settings")
            differences = differing_fields(recorded if isinstance(recorded, dict) else {}, settings)
            if differences:
                raise InputError(
                    f"{self.path} was made with other settings ({'; '.join(differences)}). Choose another --out, or remove it"
                )
        refuse_unrelated(self.path, MANIFEST)
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_manifest({"status": "running", "settings": settings})

    def write_manifest(self, fields: Mapping[str, Any]) -> None:
        write_json(self.manifest_path, {"format": FORMAT, **fields})

    def results(self) -> list[Result]:
        """The rows of results.json."""
        rows = read_json(self.results_path)
        if not isinstance(rows, list) or not rows:
            raise InputError(f"{self.results_path}: contains no results; score the run again")
        return [from_row(Result, row, f"{self.results_path}: row {number}") for number, row in enumerate(rows, 1)]

    def lock(self) -> AbstractContextManager[None]:
        """Only one process at a time writes a run folder."""
        return lock_folder(self.path, MANIFEST)

    def read(self, kind: type[T], path: Path) -> list[T]:
        """Rows of a file, without a torn last line; [] if the file is missing."""
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
    """Writes one row a line and flushes it, so that a kill loses at most the row in flight, and SIGTERM none."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, row: Any) -> None:
        try:
            with uninterrupted():
                self.file.write(dumps(row) + "\n")
                self.file.flush()
        except OSError as error:
            raise InputError(
                f"{self.file.name}: cannot be written ({error.strerror}); the rows before this one are kept"
            ) from error
