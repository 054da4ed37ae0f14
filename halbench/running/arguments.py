"""Arguments of calls from Python, held to the rules of their flags."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.evaluation.choice import Acceptance, SuiteChoice, Unwanted
from halbench.judging.options import JudgeOptions, Judging, judge_options
from halbench.reasoning import SPLIT, Reasoning
from halbench.running.plan import Plan
from halbench.running.several import Cell, Suites, suite_cells
from halbench.settings import Rule, checked
from halbench.types import BackendOptions

PathLike = str | Path

as_path, as_optional_path = Rule(Path), Rule(Path | None)
"""(argument, value) -> the path that an argument names."""


def as_name(argument: str, name: PathLike | None) -> Any:
    """The name, or path as text, that an argument gives."""
    return Rule(str | None)(argument, str(name) if isinstance(name, Path) else name)


def suite_choice(
    suite: PathLike | None, options: Mapping[str, Any] | None, data: PathLike | None, images: PathLike | None
) -> SuiteChoice:
    if not isinstance(options, Mapping | None):
        raise InputError(f"options: expected a mapping such as {{'similarity': 'spacy'}}, found {options!r}")
    settings = tuple(f"{name}={value}" for name, value in (options or {}).items())
    folders = as_optional_path("data", data), as_optional_path("images", images)
    return SuiteChoice(*folders, as_name("suite", suite), settings)


def judging(judge: str | JudgeOptions | None, stored: PathLike | None, prompt: PathLike | None) -> Judging:
    """Where verdicts come from; the options of a judge are checked."""
    options = judge if isinstance(judge, JudgeOptions | None) else JudgeOptions(judge)
    asked = options and judge_options(vars(checked(options, model="judge")))
    files = as_optional_path("judgements", stored), as_optional_path("judge_prompt", prompt)
    return Judging(asked, *files)


def run_arguments(
    model: PathLike,
    suites: Sequence[PathLike],
    opened: Suites,
    *,
    backend: str = "hf",
    options: Mapping[str, Any] | None = None,
    generation: Mapping[str, Any] | None = None,
    limit: int | None = None,
    data: PathLike | None = None,
    images: PathLike | None = None,
    judge: str | JudgeOptions | None = None,
    judgements: PathLike | None = None,
    judge_prompt: PathLike | None = None,
    allow: tuple[Unwanted, ...] = (),
    reasoning: Reasoning = SPLIT,
    out: PathLike | None = None,
    **backend_options: Any,
) -> list[Cell]:
    """The runs that a call of halbench.run or run_suites names."""
    if unknown := backend_options.keys() - {field.name for field in fields(BackendOptions)}:
        raise InputError(f"run(): unknown option '{min(unknown)}'; expected a field of BackendOptions")
    folder, thoughts = as_optional_path("out", out), checked(reasoning)
    plan = Plan(as_name("model", model), backend, generation or {}, limit, None, thoughts, folder)
    choice = suite_choice(",".join(as_name("suite", suite) or "" for suite in suites), options, data, images)
    return suite_cells(
        checked(plan, gen_kwargs="generation"),
        choice,
        checked(BackendOptions(**backend_options)),
        judging(judge, judgements, judge_prompt),
        checked(Acceptance(allow)),
        opened,
    )
