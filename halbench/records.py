"""Dataclasses <-> JSON and JSONL files. Errors name file, line and field.

Appended files may end in half a line when a run was killed; `read_jsonl(path, torn_tail=True)` leaves that half out.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from halbench.errors import InputError

T = TypeVar("T")


def as_json(value: Any) -> Any:
    """Plain JSON values of dataclasses, mappings, tuples and paths."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def dumps(value: Any) -> str:
    """One line of strict JSON (no NaN), keys in their own order."""
    return json.dumps(as_json(value), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any, length: int = 12) -> str:
    """Hex digest of a value's JSON with sorted keys: the same on every machine."""
    text = json.dumps(as_json(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def file_hash(path: Path, length: int = 64) -> str:
    """SHA-256 of a file's bytes, in hex, cut to `length` digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:length]


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises InputError with the line where it breaks."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def read_jsonl(path: Path, torn_tail: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of each non-blank line. torn_tail: leave out a last line that a kill cut short."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            if torn_tail and data.endswith(line):
                return
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "not UTF-8"
            raise InputError(f"{path}:{number}: not valid JSON ({reason})") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
        yield number, row


def from_row(kind: type[T], row: Mapping[str, Any], where: str) -> T:
    """A dataclass from one JSON object; unknown and missing fields are errors that name `where`."""
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = [name for name in row if name not in fields]
    required = (
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    )
    missing = [name for name in required if name not in row]
    if unknown or missing:
        problem = f"unknown field '{unknown[0]}'" if unknown else f"missing field '{missing[0]}'"
        raise InputError(f"{where}: {problem} for {kind.__name__} (fields: {', '.join(fields)})")
    return kind(**row)


def write_json(path: Path, value: Any) -> None:
    """Write a file whole or not at all: a kill leaves the old one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(as_json(value), ensure_ascii=False, allow_nan=False, indent=1) + "\n", "utf-8")
    os.replace(partial, path)


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write all rows of a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(dumps(row) + "\n" for row in rows), "utf-8")
    os.replace(partial, path)
