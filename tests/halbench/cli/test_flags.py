"""Flags are written once, in the dataclass that holds their value, and every verb that takes it has them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from baselines.training.recipes import Recipe, TrainingPlan
from halbench.cli import VERBS
from halbench.cli.flags import Given, Only, flag_name, flagged, with_flags
from halbench.errors import InputError
from halbench.evaluation.choice import DataChoice, SuiteChoice
from halbench.judging.options import JudgeOptions, Judging
from halbench.plugins import names
from halbench.running.plan import Plan
from halbench.scenes_tools.pair_options import PairOptions
from halbench.settings import Flag, option
from halbench.statistics.resampling import Resampling
from halbench.types import BackendOptions


def number(flag: str, text: str) -> int:
    """As --batch-size is read."""
    if not text.isdigit():
        raise InputError(f"{flag} {text}: expected a number")
    return int(text)


@dataclass(frozen=True)
class Base:
    inherited: str | None = option(None, "Comes from the base.", otherwise="nothing")


@dataclass(frozen=True, kw_only=True)
class Options(Base):
    needed: str = option(MISSING, "Must be given.", "--needed", "-n", metavar="TEXT")
    count: int = option(3, "How many.", minimum=1, maximum=9, metavar="N")
    share: float = option(0.5, "How much.")
    kind: Literal["a", "b"] = option("a", "Which kind.")
    size: int | str = option(8, "A number in words of its own.", parse=number)
    names: tuple[str, ...] = option((), "Names. May be repeated.", "--name")
    on: bool = option(False, "Switch it on.")
    extra: Mapping[str, Any] = option(factory=dict, help="More.", parse=lambda flag, text: {text: flag})
    hidden: int = 5


def called(verb: Any, *arguments: str) -> Any:
    """What a verb is called with, or the one line in which it is refused."""
    app = typer.Typer(rich_markup_mode=None)
    app.command()(with_flags(verb))
    return CliRunner().invoke(app, list(arguments))


def whole(options: Options) -> None:
    print(options)


def given(options: Annotated[Mapping[str, Any], Given(Options)]) -> None:
    print(dict(options))


def some(options: Annotated[Options, Only("needed", count="How many of these.")], plain: int = 7) -> None:
    print(options, plain)


def test_a_verb_gets_the_dataclass_with_its_defaults_and_what_the_user_set():
    result = called(whole, "-n", "x")
    assert result.stdout.strip() == str(Options(needed="x")), result.output
    flags = ["--needed", "x", "--count", "4", "--share", "0.25", "--kind", "b", "--size", "7", "--on"]
    flags += ["--name", "p", "--name", "q", "--extra", "e", "--inherited", "i"]
    values = {"needed": "x", "count": 4, "share": 0.25, "kind": "b", "size": 7, "on": True, "inherited": "i"}
    expected = Options(**values, names=("p", "q"), extra={"e": "--extra"})
    assert called(whole, *flags).stdout.strip() == str(expected)


def test_given_only_holds_what_the_user_set():
    assert called(given).stdout.strip() == "{}"
    assert called(given, "--count", "3", "--on").stdout.strip() == "{'count': 3, 'on': True}"


def test_only_these_fields_are_flags_and_the_others_keep_their_defaults():
    assert called(some, "-n", "x", "--count", "2", "--plain", "1").stdout.strip() == f"{Options(needed='x', count=2)} 1"
    assert called(some, "-n", "x", "--share", "1").exit_code == 2
    assert "How many of these." in called(some, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--needed"),
        (["-n", "x", "--count", "0"], "--count"),
        (["-n", "x", "--count", "many"], "--count"),
        (["-n", "x", "--kind", "c"], "--kind"),
        (["-n", "x", "--hidden", "6"], "--hidden"),
    ],
)
def test_what_a_flag_does_not_take_is_refused(arguments, part):
    result = called(whole, *arguments)
    assert result.exit_code == 2
    assert part in result.output.partition("Error")[2]


def test_a_parser_gets_the_name_of_its_flag_and_its_error_is_the_user_s_line():
    result = called(whole, "-n", "x", "--size", "large")
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == "--size large: expected a number"


def test_help_has_each_flag_once_with_its_help_default_range_and_choices():
    text = " ".join(called(whole, "--help").stdout.split())
    assert "-n, --needed TEXT Must be given. [required]" in text
    assert "--count N How many. [default: 3; 1<=x<=9]" in text
    assert "--share X How much. [default: 0.5]" in text
    assert "--kind <a|b> Which kind. [default: a]" in text
    assert "--size NAME A number in words of its own. [default: 8]" in text
    assert "--inherited NAME Comes from the base. Default: nothing." in text
    assert "--on Switch it on." in text
    assert "--no-on" not in text
    assert "hidden" not in text
    assert text.index("--needed") < text.index("--inherited"), "a class's own flags come before inherited ones"


def test_help_of_given_names_the_defaults_which_are_kept_elsewhere():
    text = " ".join(called(given, "--help").stdout.split())
    assert "--count N How many. Default: 3. [1<=x<=9]" in text
    assert "--share X How much. Default: 0.5." in text
    assert "[required]" not in text


# The subcommands of halbench

TAKES = {
    "run": (Plan, SuiteChoice, BackendOptions, JudgeOptions, Judging),
    "generate": (Plan, SuiteChoice, BackendOptions),
    "score": (SuiteChoice, JudgeOptions, Judging),
    "compare": (Resampling,),
    "gate": (Resampling,),
    "view": (DataChoice,),
    "train": (Recipe, TrainingPlan),
    "scenes pairs": (PairOptions,),
}
GROUPS = {"data": ("fetch", "verify", "status"), "scenes": ("train", "export", "pairs", "sheet")}
COMMANDS = [f"{verb} {sub}".strip() for verb in VERBS for sub in GROUPS.get(verb, ("",))]


HEAVY = ("torch", "transformers", "numpy", "pandas", "PIL", "scipy", "nltk", "spacy")
HELP_OF_ALL = """
import contextlib, io, json, sys
from halbench.cli import main
commands, heavy = json.loads(sys.argv[1])
helps = {}
for command in commands:
    sys.argv = ["halbench", *command.replace("_", "-").split(), "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    helps[command] = {"text": out.getvalue(), "heavy": [name for name in heavy if name in sys.modules]}
print(json.dumps(helps))
"""


@cache
def helps() -> dict[str, Any]:
    """The help of every verb, and the heavy libraries that had been imported by then, from one process."""
    arguments = json.dumps([["", *COMMANDS], HEAVY])
    command = [sys.executable, "-c", HELP_OF_ALL, arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def help_of(command: str) -> str:
    """The help of a verb, in one line."""
    return " ".join(helps()[command]["text"].split())


@pytest.mark.parametrize("command", ["", *COMMANDS], ids=lambda command: command or "no verb")
def test_help_imports_no_heavy_library(command):
    assert "--help" in help_of(command)
    assert helps()[command]["heavy"] == []


@pytest.mark.parametrize(("command", "kind"), [(command, kind) for command, kinds in TAKES.items() for kind in kinds])
def test_a_verb_has_every_flag_of_the_options_it_takes(command, kind):
    text = help_of(command)
    fields = list(flagged(kind))
    assert fields
    for field in fields:
        flag: Flag = field.metadata["flag"]
        for name in flag.names or (flag_name(field.name),):
            assert f"{name} " in text or f"{name}," in text, name
        assert " ".join(flag.help.split()).replace("- ", "-") in text.replace("- ", "-"), field.name


@pytest.mark.parametrize("command", [command for command in COMMANDS if command in ("run", "generate", "score")])
def test_the_suites_in_help_are_the_plugins(command):
    assert f"{', '.join(names('halbench.suites'))}; or a .py file." in help_of(command)


@pytest.mark.parametrize(("command", "package"), [("report", "reports.kinds"), ("preview_pairs", "baselines.views")])
def test_the_report_kinds_and_views_in_help_are_the_plugins(command, package):
    assert ", ".join(names(package)) in help_of(command)


def test_every_backend_is_in_help():
    text = help_of("run")
    assert [name for name in names("halbench.backends") if f"{name}" not in text.partition("--backend")[2]] == []


SUITES_IN_EXAMPLES = {"scenes"}  # the verb `scenes`, and suite-specific sheets


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("run", "generate", "score")])
def test_no_other_help_lists_suites(command):
    text = help_of(command)
    mentioned = {name for name in names("halbench.suites") if f" {name}" in text} - SUITES_IN_EXAMPLES
    assert mentioned == set()
