"""Settings: dataclass fields that the command line offers as flags, and values that users write as name=value.

    @dataclass(frozen=True)
    class BackendOptions:
        seed: int = option(0, "Random seed for sampling; ignored by greedy decoding.")      # --seed

A flag is declared once, with the field that holds its value; halbench/cli/flags.py builds the command line from it, and
`checked` holds values that come from Python or YAML to the same rules.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from halbench.errors import InputError, did_you_mean
from halbench.files.records import as_json, dumps, loads

T = TypeVar("T")


@dataclass(frozen=True)
class Flag:
    """A field's flag on the command line. names: "--batch-size", "-b"; by default the field's own name. otherwise: the
    default as shown in help, if the value itself says too little. parse(flag, text) -> value, for values given as text.
    joined: it may be repeated, which means the same as its values with commas between them."""

    help: str
    names: tuple[str, ...] = ()
    metavar: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    otherwise: str | None = None
    parse: Callable[[str, str], Any] | None = None
    joined: bool = False


def option(default: Any = MISSING, help: str = "", *names: str, factory: Any = MISSING, **flag: Any) -> Any:
    """A dataclass field with its flag. factory: default_factory of dataclasses.field. flag: further fields of Flag."""
    metadata = {"flag": Flag(help, names, **flag)}
    if factory is not MISSING:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Rule:
    """What a field's value must be. kind: its type."""

    kind: Any
    flag: Flag | None = None

    def __call__(self, name: str, value: Any) -> Any:
        """`value` as one of this type: a path from text, a float from a whole number, a mapping as JSON has it. Raises
        InputError, which starts with `name`, for a value of another type, no choice of a Literal, or out of range."""
        kinds = get_args(self.kind) if get_origin(self.kind) in (Union, UnionType) else (self.kind,)
        fitting = next((kind for kind in kinds if _fits(kind, value)), None)
        if fitting is None:
            (first, *others) = expected = [kind for kind in kinds if kind is not NoneType]
            if get_origin(first) is Literal and not others and isinstance(value, str):
                raise InputError(f"{name}: unknown value {value!r}{did_you_mean(value, get_args(first))}")
            raise InputError(f"{name}: expected {' or '.join(map(_in_words, expected))}, found {value!r}")
        if self.flag is not None and fitting in (int, float):
            if self.flag.minimum is not None and value < self.flag.minimum:
                raise InputError(f"{name}: expected at least {self.flag.minimum:g}, found {value}")
            if self.flag.maximum is not None and value > self.flag.maximum:
                raise InputError(f"{name}: expected at most {self.flag.maximum:g}, found {value}")
        if fitting in (int, float, Path):
            return fitting(value)
        return tuple(value) if get_origin(fitting) is tuple else as_json(value) if _is_mapping(fitting) else value


def rules(kind: type[Any]) -> dict[str, Rule]:
    """Field of a dataclass -> what its value must be."""
    types = get_type_hints(kind)
    return {field.name: Rule(types[field.name], field.metadata.get("flag")) for field in dataclasses.fields(kind)}


def checked(options: T, **called: str) -> T:
    """A dataclass whose values come from Python, each held to the type and the flag of its field. called: field -> the name
    by which the user knows it. Raises InputError naming the first field that is wrong."""
    values = vars(options)
    right = {name: rule(called.get(name, name), values[name]) for name, rule in rules(type(options)).items()}
    return type(options)(**right)


def _fits(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple | list) and all(_fits(get_args(kind)[0], one) for one in value)
    if _is_mapping(kind):
        return isinstance(value, Mapping) and all(isinstance(name, str) for name in value) and _is_json(value)
    if kind in (int, float):
        is_number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    return isinstance(value, (str, Path) if kind is Path else kind)


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _is_json(value: Any) -> bool:
    try:
        dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _in_words(kind: Any) -> str:
    """A type as users read it."""
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if _is_mapping(kind):
        return "a mapping from names to text, numbers, True, False, None and lists of these"
    words = {int: "a whole number", float: "a number", str: "text", Path: "a path", bool: "True or False"}
    return f"several: {_in_words(get_args(kind)[0])}" if get_origin(kind) is tuple else words.get(kind, kind.__name__)


def parse_options(kind: type[Any], assignments: Sequence[str]) -> Any:
    """An instance of the options dataclass `kind` from "name=value" assignments. Raises InputError for an unknown name, a
    value of another type, or a required option that is missing."""
    types, values = get_type_hints(kind), {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment}: expected name=value")
        if name not in types:
            known = did_you_mean(name, types) if types else "; this suite has no options"
            raise InputError(f"--set {assignment}: unknown option '{name}'{known}")
        values[name] = _value(assignment, types[name], text)
    missing = [name for name in required_options(kind) if name not in values]
    if missing:
        raise InputError(f"--set {missing[0]}=VALUE is needed by this suite")
    return kind(**values)


def required_options(kind: type[Any]) -> list[str]:
    """Names of an options dataclass's fields that have no default."""
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return [field.name for field in fields if field.default is MISSING and field.default_factory is MISSING]


def _value(assignment: str, kind: Any, text: str) -> Any:
    if get_origin(kind) in (Union, UnionType):
        if NoneType in get_args(kind) and text in ("None", "null"):
            return None
        kind = next(choice for choice in get_args(kind) if choice is not NoneType)
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise InputError(f"--set {assignment}: unknown value '{text}'{did_you_mean(text, get_args(kind))}")
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise InputError(f"--set {assignment}: expected true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError as error:
        raise InputError(f"--set {assignment}: expected a value of type {kind.__name__}") from error


def parse_arguments(flag: str, text: str) -> dict[str, Any]:
    """ "max_new_tokens=64,early_stopping=true" -> {"max_new_tokens": 64, "early_stopping": True}; a bare word is text."""
    arguments = {}
    for argument in filter(None, text.split(",")):
        name, equals, value = argument.partition("=")
        if not equals:
            raise InputError(f"{flag} {argument}: expected name=value, separated by commas")
        try:
            arguments[name.strip()] = loads(value)
        except ValueError:
            arguments[name.strip()] = value
    return arguments


def option_values(options: Any) -> Mapping[str, Any]:
    """The options as name -> value, for the manifest."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
