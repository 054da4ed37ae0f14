"""Flags from dataclasses: a subcommand's parameter may be a dataclass, whose fields become flags (see settings.option).

    def train(recipe: Annotated[Mapping[str, Any], Given(Recipe)], backend: Annotated[BackendOptions, Only("dtype")]) -> None: ...
    app.command()(with_flags(train))

`backend` is then a BackendOptions, and `recipe` a mapping of those fields of a Recipe that the user set.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from halbench.settings import Flag

METAVARS = {int: "N", float: "X", str: "NAME"}


@dataclass(frozen=True)
class Given:
    """Marks a parameter that gets a mapping: field -> value, for the fields that the user set."""

    kind: type[Any]


class Only:
    """Marks a dataclass parameter of which only these fields become flags; the others keep their defaults. helps: field ->
    help text that replaces its own."""

    def __init__(self, *names: str, **helps: str) -> None:
        self.names, self.helps = (*names, *helps), helps


@dataclass(frozen=True)
class Group:
    """A parameter of a subcommand that is built from several flags.

    kind: its dataclass. given_only: it gets only what the user set. fields: name of a flag's own parameter -> the field.
    helps: field -> help text in place of the field's own.
    """

    kind: type[Any]
    given_only: bool
    fields: dict[str, Field[Any]]
    helps: Mapping[str, str]


def with_flags(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The subcommand as typer calls it: a dataclass parameter is replaced by one parameter per flag."""
    hints = get_type_hints(verb, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Group] = {}
    for parameter in inspect.signature(verb).parameters.values():
        group = group_of(parameter.name, hints[parameter.name])
        if group is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=parameter.KEYWORD_ONLY))
            continue
        groups[parameter.name] = group
        types = get_type_hints(group.kind, include_extras=True)
        for name, field in group.fields.items():
            parameters.append(flag_parameter(name, field, types[field.name], group))

    def call(**values: Any) -> Any:
        flags = {name for group in groups.values() for name in group.fields}
        others = {name: value for name, value in values.items() if name not in flags}
        return verb(**others, **{name: build(group, values) for name, group in groups.items()})

    call.__name__, call.__doc__ = verb.__name__, verb.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def group_of(name: str, hint: Any) -> Group | None:
    """The flags of a dataclass parameter; None for any other parameter."""
    annotated, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    given = next((mark.kind for mark in marks if isinstance(mark, Given)), None)
    kind = given or annotated
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return None
    only = next((mark for mark in marks if isinstance(mark, Only)), None)
    selected = [field for field in flagged(kind) if only is None or field.name in only.names]
    chosen = {f"{name}__{field.name}": field for field in selected}
    return Group(kind, given is not None, chosen, only.helps if only else {})


def flagged(kind: type[Any]) -> Iterator[Field[Any]]:
    """The fields of a dataclass that have a flag; its own before inherited ones."""
    own = sorted(fields(kind), key=lambda field: field.name not in kind.__annotations__)
    return (field for field in own if "flag" in field.metadata)


def flag_parameter(name: str, field: Field[Any], hint: Any, group: Group) -> inspect.Parameter:
    """A parameter with typer's description of a field's flag."""
    flag: Flag = field.metadata["flag"]
    default, help_text = field.default, group.helps.get(field.name, flag.help)
    if field.default_factory is not MISSING:
        default = None
    if flag.parse is not None:
        hint, default = str, None if default in (None, MISSING, ()) else str(default)
    elif flag.joined:
        hint, default = list[str], None
    elif get_origin(hint) is tuple:
        hint = list[get_args(hint)[0]]  # type: ignore[misc]
        default = None
    if flag.otherwise is not None or (
        group.given_only and not any(default is hidden for hidden in (None, MISSING, False))
    ):
        help_text += f" Default: {flag.otherwise or default_text(default)}."
    if group.given_only or flag.otherwise is not None:
        default = None
    if default is None and not is_optional(hint):
        hint = hint | None
    option = typer.Option(
        *(flag.names or (flag_name(field.name),)),
        help=help_text,
        metavar=flag.metavar or METAVARS.get(without_none(hint)),
        min=flag.minimum,
        max=flag.maximum,
        show_default=not any(default is hidden for hidden in (None, False, MISSING)),
    )
    empty = inspect.Parameter.empty
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=empty if default is MISSING else default,
        annotation=Annotated[hint, option],
    )


def build(group: Group, values: dict[str, Any]) -> Any:
    """The dataclass of a group, or the mapping of what the user set, from the values of all flags."""
    settings = {}
    for name, field in group.fields.items():
        flag: Flag = field.metadata["flag"]
        value = values[name]
        if value is None or value == []:
            continue
        if flag.joined:
            value = ",".join(value)
        if flag.parse is not None:
            value = flag.parse((flag.names or (flag_name(field.name),))[0], value)
        settings[field.name] = tuple(value) if isinstance(value, list) else value
    return settings if group.given_only else group.kind(**settings)


def is_optional(hint: Any) -> bool:
    """Whether a type admits None."""
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)


def without_none(hint: Any) -> Any:
    """The type of a field without None; None for a union of several."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if is_optional(hint) else [hint]
    return kinds[0] if len(kinds) == 1 else None


def flag_name(field: str) -> str:
    """ "batch_size" -> "--batch-size"."""
    return f"--{field.replace('_', '-')}"


def default_text(value: Any) -> str:
    """A default as help shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)
