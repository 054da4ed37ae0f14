"""halbench score: numbers from responses that are already there; no model, judge or network is needed."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import options as shared


def add_to(app: typer.Typer) -> None:
    app.command(help="Score stored responses.")(score)


def score(
    responses: Annotated[
        Path,
        typer.Option(
            "--responses",
            "-r",
            help="Response file (.json, .jsonl, .tsv, .csv, .xlsx) or a run folder.",
            metavar="FILE",
        ),
    ],
    suite: shared.StoredSuite = None,
    judgements: Annotated[
        Path | None, typer.Option("--judgements", help="Stored replies of a judge.", metavar="FILE")
    ] = None,
    settings: shared.Settings = None,
    data: shared.DataFolder = None,
    images: shared.Images = None,
    out: shared.Out = None,
    as_json: shared.AsJson = False,
    judge: shared.JudgeModel = None,
    judge_base_url: shared.JudgeUrl = None,
    judge_prompt: shared.JudgePrompt = None,
    judge_concurrency: shared.JudgeConcurrency = 8,
    judge_kwargs: shared.JudgeKwargs = "",
) -> None:
    from halbench.datasets import open_data
    from halbench.evaluation import score_stored
    from halbench.printing import report

    options = shared.judge_options(judge, judge_base_url, judge_concurrency, judge_kwargs)
    evaluation = score_stored(
        suite, settings or [], open_data(data, images), responses, judgements, options, judge_prompt, out
    )
    raise typer.Exit(report(evaluation, as_json))
