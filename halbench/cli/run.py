"""halbench run: a model answers a suite and is scored; repeat the command to resume."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from halbench.cli import options as shared
from halbench.cli.flags import Given, with_flags
from halbench.evaluation.choice import Acceptance, SuiteChoice
from halbench.judging.options import JudgeOptions, Judging
from halbench.reasoning import Reasoning
from halbench.running.plan import Plan
from halbench.types import BackendOptions


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
    from halbench.terminal.lines import show
    from halbench.terminal.progress import say

    plan = replace(plan, reasoning=reasoning)
    judging = replace(judging, judge=judge_options(judge))
    if judging.dry_run:
        show(running.describe_run(plan, choice, judging))
        return
    result = running.run(plan, choice, backend, judging, acceptance)
    if result is None:  # not the first rank of several
        return
    evaluation, folder = result
    code = report(evaluation, as_json)
    say(f"run folder: {folder.path}")
    raise typer.Exit(code)
