"""Dataclasses <-> JSON and JSONL files. Errors name file, line and field.

A killed run may leave half a line at the end of a file; `read_jsonl(path, torn_tail=True)` skips it.
"""

import dataclasses
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from halbench.errors import InputError
from halbench.files.writing import replacing

T = TypeVar("T")
SURROGATE = re.compile("[\ud800-\udfff]")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON value")


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ; Python would keep the last value of a name without a word."""
    named = dict(pairs)
    if len(named) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)}' occurs twice in one object")
    return named


DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_named_once)


def as_json(value: Any) -> Any:
    """Dataclasses, mappings, sequences, sets (sorted, since their order differs between processes), paths and NumPy's scalars
    as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(as_json, value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, Path):
        return str(value)
    # Asked without importing NumPy, which the command line's help must not need.
    return value.item() if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0 else value


def dumps(value: Any) -> str:
    """One line of strict JSON (no NaN), keys in their given order."""
    text = json.dumps(as_json(value), ensure_ascii=False, allow_nan=False)
    # Half a character (a lone surrogate) is legal in JSON, but only as an escape.
    return text if not SURROGATE.search(text) else json.dumps(as_json(value), allow_nan=False)


def loads(text: str) -> Any:
    """A strict JSON value. Raises ValueError for what is not JSON (NaN), is too deeply nested for Python, or has a name twice
    in one object."""
    try:
        return DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def content_hash(value: Any, length: int = 12) -> str:
    """Hex digest of a value's JSON with sorted keys: the same on every machine."""
    text = json.dumps(as_json(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def file_hash(path: Path, length: int = 64) -> str:
    """SHA-256 of a file's bytes, in hex, cut to `length` digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:length]


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises InputError with the line of the first mistake."""
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
    """(line number, object) of each non-blank line. torn_tail: skip a last line that a kill cut short."""
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


def from_row(kind: type[T], row: Any, where: str, others: bool = False) -> T:
    """A dataclass from one JSON object; unknown and missing fields, and values that do not fit, are errors that name `where`.
    others: further fields are left out."""
    layout = _layout(cast(type, kind))
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected the fields of {kind.__name__}, found {json.dumps(row)[:60]}")
    if others:
        row = {name: value for name, value in row.items() if name in layout.fits}
    if not layout.fits.keys() >= row.keys() >= layout.required:
        unknown = [f"unknown field '{name}'" for name in row if name not in layout.fits]
        missing = [f"missing field '{name}'" for name in layout.fits if name in layout.required - row.keys()]
        problem = [*unknown, *missing][0]
        raise InputError(f"{where}: {problem} for {kind.__name__} (fields: {', '.join(layout.fits)})")
    for name, value in row.items():
        if not (layout.fits[name](value) and layout.contents[name](value)):
            raise InputError(f"{where}: field '{name}' of {kind.__name__} cannot be {json.dumps(value)[:60]}")
    converted: dict[str, Any] = {name: tuple(row[name]) for name in layout.tuples if name in row}
    for name, inner in layout.nested.items():
        if row.get(name) is not None:
            converted[name] = from_row(inner, row[name], f"{where}: {name}", others)
    return kind(**{**row, **converted})


def misfit(instance: Any) -> str | None:
    """The first field of a dataclass instance whose value does not fit its type, as a sentence; None if all fit."""
    for name, fits in _layout(cast(type, type(instance))).fits.items():
        value = getattr(instance, name)
        if not fits(list(value) if isinstance(value, tuple) else value):
            return f"field '{name}' of {type(instance).__name__} cannot be {value!r:.60}"
    return None


@dataclass(frozen=True)
class _Layout:
    """A dataclass as JSON; worked out once per class, since files have hundreds of thousands of rows. fits: of the value
    itself; contents: of what is in it, for values from files. nested: fields that are dataclasses."""

    fits: Mapping[str, Callable[[Any], bool]]
    contents: Mapping[str, Callable[[Any], bool]]
    required: frozenset[str]
    tuples: tuple[str, ...]
    nested: Mapping[str, type]


@cache
def _layout(kind: type) -> _Layout:
    types = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    required = (name for name, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING)
    tuples = (name for name in fields if get_origin(types[name]) is tuple)
    fits, contents = ({name: test(types[name]) for name in fields} for test in (_fit, _contents))
    nested: dict[str, Any] = {
        name: inner for name in fields for inner in _choices(types[name]) if dataclasses.is_dataclass(inner)
    }
    return _Layout(fits, contents, frozenset(required), tuple(tuples), nested)


def _choices(kind: Any) -> tuple[Any, ...]:
    """The types that a field allows."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _contents(kind: Any) -> Callable[[Any], bool]:
    """The test whether a value that fits a field has fitting contents: numbers that a float can hold, members of the type."""
    members = [get_args(choice) for choice in _choices(kind) if get_origin(choice) in (tuple, Mapping)]
    if not members:
        return _is_computable if {int, float} & {*_choices(kind)} else lambda value: True
    member = next(one for one in reversed(members[0]) if one is not Ellipsis)
    if member is Any:
        return lambda value: True
    fits = _fit(member)
    return lambda value: (
        value is None
        or all(fits(one) and _is_computable(one) for one in (value.values() if isinstance(value, dict) else value))
    )


def _is_computable(value: Any) -> bool:
    """False for 1e999 and 10**400, which are legal JSON."""
    return not isinstance(value, int | float) or -sys.float_info.max <= value <= sys.float_info.max


def _fit(kind: Any) -> Callable[[Any], bool]:
    """The test whether a JSON value fits a field of this type; the contents of containers are not checked."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: True
    if origin is Literal:
        return lambda value: value in arguments
    if origin in (Union, UnionType):
        choices = [_fit(choice) for choice in arguments if choice is not NoneType]
        optional = NoneType in arguments
        if len(choices) == 1:  # without a generator per value: files have hundreds of thousands of rows
            (fits,) = choices
            return lambda value: (value is None and optional) or fits(value)
        return lambda value: (value is None and optional) or any(fits(value) for fits in choices)
    if dataclasses.is_dataclass(kind):
        return lambda value: isinstance(value, dict | cast(type, kind))
    if kind is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    # dict first: isinstance on an abstract class takes ten times as long
    accepted = (int, float) if kind is float else list if origin is tuple else (dict, origin) if origin else kind
    return lambda value: isinstance(value, accepted)


def write_text(path: Path, text: str) -> None:
    """Write a file atomically, creating the folders above it."""
    with replacing(path) as partial:
        partial.write_text(text, "utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    text = json.dumps(as_json(value), ensure_ascii=False, allow_nan=False, indent=1)
    write_text(path, json.dumps(as_json(value), indent=1) if SURROGATE.search(text) else text + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write a JSONL file atomically."""
    write_text(path, "".join(dumps(row) + "\n" for row in rows))


def differing_fields(
    recorded: Mapping[str, Any],
    current: Mapping[str, Any],
    labels: tuple[str, str] = ("(recorded)", "(requested)"),
    prefix: str = "",
) -> list[str]:
    """'decoding.num_beams: 3 (recorded), 1 (requested)' for each field in which two mappings differ. labels: of the two."""
    differences: list[str] = []
    for key in sorted({*recorded, *current}):
        old, new = recorded.get(key), current.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            differences += differing_fields(old, new, labels, f"{prefix}{key}.")
        elif old != new:
            differences.append(f"{prefix}{key}: {json.dumps(old)} {labels[0]}, {json.dumps(new)} {labels[1]}")
    return differences
