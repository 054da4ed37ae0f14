"""halbench run: a model answers a suite and is scored; repeat the command to resume."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halbench.cli import options as shared
from halbench.cli.flags import Given, with_flags
from halbench.evaluation.choice import Acceptance, SuiteChoice
from halbench.judging.options import JudgeOptions, Judging
from halbench.reasoning import Reasoning
from halbench.running.plan import Plan
from halbench.types import BackendOptions

if TYPE_CHECKING:
    from halbench.running.several import Cell, Suites


def add_to(app: typer.Typer) -> None:
    app.command(help="Run a model on a suite and score its answers.")(with_flags(run))


def run(
    plan: Plan,
    choice: SuiteChoice,
    reasoning: Reasoning,
    backend: BackendOptions,
    judge: Annotated[Mapping[str, Any], Given(JudgeOptions)],
    judging: Judging,
    acceptance: Acceptance,
    as_json: shared.AsJson = False,
) -> None:
    from dataclasses import replace

    from halbench.cli.results_table import report
    from halbench.judging.options import judge_options
    from halbench.running import run as running
    from halbench.running.several import Suites, suite_cells
    from halbench.terminal.lines import show
    from halbench.terminal.progress import say

    plan = replace(plan, reasoning=reasoning)
    judging, suites = replace(judging, judge=judge_options(judge)), Suites()
    cells = suite_cells(plan, choice, backend, judging, acceptance, suites)
    if judging.dry_run:
        for cell in cells:
            line = running.describe_run(cell.plan, cell.choice, cell.judging)
            show(line if len(cells) == 1 else f"{cell.suite}: {line}")
        return
    if len(cells) > 1:
        raise typer.Exit(run_several(cells, suites, as_json))
    (cell,) = cells
    result = running.run(cell.plan, cell.choice, backend, judging, acceptance)
    if result is None:  # not the first rank of several
        return
    evaluation, folder = result
    code = report(evaluation, as_json)
    say(f"run folder: {folder.path}")
    raise typer.Exit(code)


def run_several(cells: "list[Cell]", suites: "Suites", as_json: bool) -> int:
    """Run the suites one after the other and print the results of each; the exit code is the worst."""
    from halbench.cli.results_table import json_object, report
    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK
    from halbench.running.ranks import init_ranks
    from halbench.running.several import run_cell, run_each
    from halbench.terminal.lines import show_json
    from halbench.terminal.progress import say

    suites.check(cells)
    is_main, code = init_ranks().is_main, OK
    objects: list[dict[str, object]] = []
    ends = []
    for outcome in run_each(cells, suites, run_cell):
        suite, folder = outcome.cell.suite, outcome.cell.folder.path
        if outcome.problem:
            objects.append({"suite": suite, "error": outcome.problem})
            ends.append(f"FAILED: {suite}: {outcome.problem}")
            code = BAD_INPUT_OR_INCOMPLETE
        elif outcome.result:
            evaluation, _ = outcome.result
            objects.append(json_object(evaluation))
            code = max(code, report(evaluation, None if as_json else False))
            ends.append(f"run folder: {folder}")
    if not is_main:
        return OK
    if as_json:
        show_json(objects)
    for line in ends:
        say(line)
    return code
