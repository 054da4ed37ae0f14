"""halbench run: a model answers a suite and is scored; repeat the command to resume."""

from collections.abc import Mapping, Sequence
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
    from halbench.running.several import Outcome


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
    from halbench.running.several import run_suites
    from halbench.terminal.lines import show
    from halbench.terminal.progress import say

    plan = replace(plan, reasoning=reasoning)
    judging = replace(judging, judge=judge_options(judge))
    if judging.dry_run:
        show(running.describe_run(plan, choice, judging))
        return
    if "," in (choice.suite or ""):
        outcomes = run_suites(plan, choice, backend, judging, acceptance)
        raise typer.Exit(report_several(outcomes, as_json))
    result = running.run(plan, choice, backend, judging, acceptance)
    if result is None:  # not the first rank of several
        return
    evaluation, folder = result
    code = report(evaluation, as_json)
    say(f"run folder: {folder.path}")
    raise typer.Exit(code)


def report_several(outcomes: "Sequence[Outcome]", as_json: bool) -> int:
    """Print the outcome of every suite; the exit code is the worst."""
    from halbench.cli.results_table import json_object, report
    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK
    from halbench.terminal.lines import show_json
    from halbench.terminal.progress import say

    evaluations = [outcome.evaluation for outcome in outcomes if outcome.evaluation]
    if as_json:
        show_json([json_object(evaluation) for evaluation in evaluations])
    codes = [report(evaluation, None if as_json else False) for evaluation in evaluations]
    for outcome in outcomes:
        say(f"FAILED: {outcome.suite}: {outcome.problem}" if outcome.problem else f"run folder: {outcome.folder.path}")
    failed = any(outcome.problem for outcome in outcomes)
    return max([*codes, BAD_INPUT_OR_INCOMPLETE if failed else OK])
