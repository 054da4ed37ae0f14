"""Dataclasses <-> JSON and JSONL files. Errors name file, line and field.

Appended files may end in half a line when a run was killed; `read_jsonl(path, torn_tail=True)` leaves that half out.
"""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from halbench.errors import InputError

T = TypeVar("T")
SURROGATE = re.compile("[\ud800-\udfff]")


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
    text = json.dumps(as_json(value), ensure_ascii=False, allow_nan=False)
    # Half a character (a lone surrogate) is legal in JSON, but only as an escape.
    return text if not SURROGATE.search(text) else json.dumps(as_json(value), allow_nan=False)


def loads(text: str) -> Any:
    """A strict JSON value. Raises ValueError for what JSON does not know (NaN) or Python cannot take (deep nesting)."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def content_hash(value: Any, length: int = 12) -> str:
    """Hex digest of a value's JSON with sorted keys: the same on every machine."""
    text = json.dumps(as_json(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def file_hash(path: Path, length: int = 64) -> str:
    """SHA-256 of a file's bytes, in hex, cut to `length` digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:length]


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises InputError with the line where it breaks."""
    try:
        return loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def read_jsonl(path: Path, torn_tail: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of each non-blank line. torn_tail: leave out a last line that a kill cut short."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except ValueError as error:
            if torn_tail and number == len(lines):  # the last line, without its line end
                return
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "msg", str(error))
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
    types = _field_types(cast(type, kind))
    for name, value in row.items():
        if not _fits(value, types[name]):
            raise InputError(f"{where}: field '{name}' of {kind.__name__} cannot be {json.dumps(value)[:60]}")
    return kind(**{name: tuple(value) if get_origin(types[name]) is tuple else value for name, value in row.items()})


@cache
def _field_types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a JSON value can stand in a field of this type; what is inside of containers is not looked at."""
    origin = get_origin(kind)
    if kind is Any:
        return True
    if origin is Literal:
        return value in get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, choice) for choice in get_args(kind))
    if kind is float:
        return isinstance(value, int | float)
    if origin is tuple:
        return isinstance(value, list)
    return isinstance(value, origin or kind) and not (isinstance(value, bool) and kind is int)


def write_json(path: Path, value: Any) -> None:
    """Write a file whole or not at all: a kill leaves the old one."""
    partial = path.with_name(path.name + ".partial")
    text = json.dumps(as_json(value), ensure_ascii=False, allow_nan=False, indent=1)
    partial.write_text(json.dumps(as_json(value), indent=1) if SURROGATE.search(text) else text + "\n", "utf-8")
    os.replace(partial, path)


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write all rows of a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(dumps(row) + "\n" for row in rows), "utf-8")
    os.replace(partial, path)
