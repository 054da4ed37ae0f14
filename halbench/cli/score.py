"""halbench score: numbers from stored responses; needs no model and no internet, and a judge only if you name one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from halbench.cli import options as shared
from halbench.cli.flags import Given, Only, with_flags
from halbench.evaluation.choice import Acceptance, SuiteChoice
from halbench.judging.options import JudgeOptions, Judging
from halbench.reasoning import Reasoning


def add_to(app: typer.Typer) -> None:
    app.command(help="Score stored responses.")(with_flags(score))


def score(
    responses: Annotated[
        Path,
        typer.Option(
            "--responses",
            "-r",
            help="Response file (.json, .jsonl, .tsv, .csv, .xlsx) or a run folder, which names its own suite.",
            metavar="FILE",
        ),
    ],
    choice: SuiteChoice,
    reasoning: Annotated[Reasoning, Only("reasoning", "reasoning_tags")],
    judge: Annotated[Mapping[str, Any], Given(JudgeOptions)],
    judging: Judging,
    acceptance: Acceptance,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Run folder to write. Default: none; with --judge runs/NAME__SUITE.", metavar="DIR"
        ),
    ] = None,
    as_json: shared.AsJson = False,
) -> None:
    from dataclasses import replace

    from halbench.cli.results_table import report
    from halbench.evaluation.score import describe_scoring, score_stored
    from halbench.judging.options import judge_options
    from halbench.terminal.lines import show

    judging = replace(judging, judge=judge_options(judge))
    if judging.dry_run:
        show(describe_scoring(choice, responses, judging, out))
        return
    evaluation = score_stored(choice, responses, judging, out, acceptance, reasoning)
    raise typer.Exit(report(evaluation, as_json))
