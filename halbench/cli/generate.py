"""halbench generate: the first half of `halbench run`; the answers are scored later, or elsewhere."""

import typer

from halbench.cli import options as shared


def add_to(app: typer.Typer) -> None:
    app.command(help="Only let a model answer a suite; score later.")(generate)


def generate(
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
) -> None:
    from collections import Counter

    from halbench import running
    from halbench.errors import INCOMPLETE, OK

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
    done = running.generate_run(plan)
    if done is None:  # not the first rank of several
        return
    states = Counter(response.state for response in done.responses)
    print(
        f"{done.folder.responses_path}: {len(done.responses)} responses ({', '.join(f'{n} {state}' for state, n in states.items())})"
    )
    raise typer.Exit(INCOMPLETE if states["error"] else OK)
