"""What users choose: options of suites, arguments written as name=value, and flags of dataclass fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pytest

from halbench.errors import InputError
from halbench.settings import checked, option, option_values, parse_arguments, parse_options
from halbench.suites import chair


def test_suite_options_are_checked_and_near_misses_named():
    assert parse_options(chair.Options, ["captions=pattern"]) == chair.Options(captions="pattern")
    for wrong, hint in [
        ("caption=pattern", "did you mean 'captions'"),
        ("captions=patern", "did you mean 'pattern'"),
        ("captions", "expected name=value"),
    ]:
        with pytest.raises(Exception, match=hint):
            parse_options(chair.Options, [wrong])


def test_arguments_are_plain_values():
    text = "max_new_tokens=64,early_stopping=true,reasoning_effort=low,max_tokens=null"
    assert parse_arguments("--x", text) == {
        "max_new_tokens": 64,
        "early_stopping": True,
        "reasoning_effort": "low",
        "max_tokens": None,
    }


@dataclass(frozen=True)
class Options:
    """Options as a user's own suite may declare them."""

    file: str
    items: int = 10
    share: float = 0.5
    shuffled: bool = False
    limit: int | None = None
    part: Literal["all", "half"] | None = None


def test_options_of_every_plain_type_are_read_from_text():
    settings = ["file=a=b.json", "items=3", "share=0.25", "shuffled=true", "limit=7", "part=half"]
    assert parse_options(Options, settings) == Options("a=b.json", 3, 0.25, True, 7, "half")


def test_options_of_a_run_folder_are_read_back():
    options = Options("a.json", shuffled=False)
    assert parse_options(Options, [f"{name}={value}" for name, value in option_values(options).items()]) == options


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ([], "--set file=VALUE is needed by this suite"),
        (["file=a", "items=many"], "--set items=many: expected a value of type int"),
        (["file=a", "shuffled=yes"], "--set shuffled=yes: expected true or false"),
        (["file=a", "limit=x"], "--set limit=x: expected a value of type int"),
        (["file=a", "part=hall"], "unknown value 'hall'; did you mean"),
    ],
)
def test_options_that_cannot_be_read_are_named(settings, complaint):
    with pytest.raises(InputError, match=complaint):
        parse_options(Options, settings)


def test_an_option_is_a_field_that_carries_its_flag():
    @dataclass(frozen=True)
    class Choice:
        size: int = option(8, "How many.", "--size", "-n", minimum=1, metavar="N")
        names: tuple[str, ...] = option(factory=tuple, help="Which.")

    assert Choice() == Choice(8, ())
    flags = {field.name: field.metadata["flag"] for field in fields(Choice)}
    assert (flags["size"].names, flags["size"].minimum, flags["size"].help) == (("--size", "-n"), 1, "How many.")
    assert flags["names"].names == ()


@dataclass(frozen=True)
class FromPython:
    """Values as a notebook gives them, to fields with and without a flag."""

    size: int | Literal["auto"] = option("auto", "How many.", minimum=1)
    share: float = option(0.5, "Which part.", minimum=0, maximum=1)
    precision: Literal["auto", "float16"] = option("auto", "How exact.")
    folder: Path | None = option(None, "Where.")
    quiet: bool = False
    names: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def test_values_from_python_become_what_their_fields_say():
    given = FromPython(3, 1, "float16", "runs", True, ["a", "b"], {"words": ("x", "y"), "top_k": None})
    asked = checked(given)
    assert asked == FromPython(3, 1.0, "float16", Path("runs"), True, ("a", "b"), {"words": ["x", "y"], "top_k": None})
    assert type(asked.share) is float
    assert checked(FromPython()) == FromPython()


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("size", 0, "size: expected at least 1, found 0"),
        ("size", "4", "size: expected a whole number or 'auto', found '4'"),
        ("size", True, "size: expected a whole number or 'auto', found True"),
        ("size", 2.0, "size: expected a whole number or 'auto', found 2.0"),
        ("share", 1.5, "share: expected at most 1, found 1.5"),
        ("share", float("nan"), "share: expected a number, found nan"),
        ("share", None, "share: expected a number, found None"),
        ("precision", "float61", "precision: unknown value 'float61'; did you mean 'float16'"),
        ("precision", 16, "precision: expected 'auto' or 'float16', found 16"),
        ("folder", 3, "folder: expected a path, found 3"),
        ("quiet", 1, "quiet: expected True or False, found 1"),
        ("names", "ab", "names: expected several: text, found 'ab'"),
        ("extra", "x=1", "extra: expected a mapping from names .*, found 'x=1'"),
        ("extra", {"x": object()}, "extra: expected a mapping from names to text, numbers"),
        ("extra", {"x": float("inf")}, "extra: expected a mapping from names to text, numbers"),
        ("extra", {1: 2}, "extra: expected a mapping from names"),
    ],
)
def test_a_value_from_python_that_breaks_the_rule_of_its_field_is_named(name, value, complaint):
    with pytest.raises(InputError, match=complaint):
        checked(FromPython(**{name: value}))
    with pytest.raises(InputError, match=f"^argument{complaint.removeprefix(name)}"):
        checked(FromPython(**{name: value}), **{name: "argument"})
