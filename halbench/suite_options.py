"""What users write as name=value: `--set` -> a suite's options, `--gen-kwargs` and `--judge-kwargs` -> plain values."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from halbench.errors import InputError, did_you_mean
from halbench.records import loads


def parse_options(kind: type[Any], assignments: Sequence[str]) -> Any:
    """An instance of the options dataclass `kind`; raises InputError for an unknown name or a value it cannot take."""
    types, values = get_type_hints(kind), {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment}: expected name=value")
        if name not in types:
            known = did_you_mean(name, types) if types else "; this suite has no options"
            raise InputError(f"--set {assignment}: unknown option '{name}'{known}")
        values[name] = _value(assignment, types[name], text)
    return kind(**values)


def _value(assignment: str, kind: Any, text: str) -> Any:
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise InputError(f"--set {assignment}: unknown value '{text}'{did_you_mean(text, get_args(kind))}")
        return text
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
            raise InputError(f"{flag} {argument}: expected name=value, parted by commas")
        try:
            arguments[name.strip()] = loads(value)
        except ValueError:
            arguments[name.strip()] = value
    return arguments


def option_values(options: Any) -> dict[str, Any]:
    """name -> value, for the manifest."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
