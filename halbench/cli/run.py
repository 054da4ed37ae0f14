"""halbench run: a model answers a suite and is scored; the same command goes on where an earlier one stopped."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import options as shared


def add_to(app: typer.Typer) -> None:
    app.command(help="Run a model on a suite and score it.")(run)


def run(
    model: shared.Model,
    suite: shared.SuiteName,
    backend: shared.BackendName = "hf",
    settings: shared.Settings = None,
    limit: shared.Limit = None,
    out: shared.Out = None,
    batch_size: shared.BatchSize = "auto",
    dtype: shared.Dtype = shared.DtypeName.auto,
    device: shared.Device = None,
    gen_kwargs: shared.GenKwargs = "",
    seed: shared.Seed = 0,
    trust_remote_code: shared.TrustRemoteCode = False,
    base_url: shared.BaseUrl = None,
    concurrency: shared.Concurrency = 8,
    model_args: shared.ModelArgs = "",
    data: shared.DataFolder = None,
    images: shared.Images = None,
    judge: shared.JudgeModel = None,
    judge_base_url: shared.JudgeUrl = None,
    judge_prompt: shared.JudgePrompt = None,
    judge_concurrency: shared.JudgeConcurrency = 8,
    judge_kwargs: shared.JudgeKwargs = "",
    judgements: Annotated[
        Path | None, typer.Option("--judgements", help="Stored replies of a judge.", metavar="FILE")
    ] = None,
    as_json: shared.AsJson = False,
) -> None:
    import sys

    from halbench import running
    from halbench.printing import report

    plan = shared.plan(
        model,
        suite,
        backend,
        settings,
        limit,
        out,
        batch_size,
        dtype,
        device,
        gen_kwargs,
        seed,
        trust_remote_code,
        data,
        images,
        base_url,
        concurrency,
        model_args,
    )
    options = shared.judge_options(judge, judge_base_url, judge_concurrency, judge_kwargs)
    done = running.run(plan, options, judge_prompt, judgements)
    if done is None:  # not the first rank of several
        return
    evaluation, folder = done
    code = report(evaluation, as_json)
    print(f"halbench: run folder {folder.path}", file=sys.stderr)
    raise typer.Exit(code)
