"""Options that several verbs share, declared once. Types only: what they mean is in their help."""

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halbench.errors import MissingExtra

if TYPE_CHECKING:
    from halbench.judge import JudgeOptions
    from halbench.running import Plan

SUITES = "object_halbench, amber, mmhal, chair, pope or scenes; or a .py file."
SuiteName = Annotated[str, typer.Option("--suite", "-s", help=SUITES, metavar="NAME")]
StoredSuite = Annotated[
    str | None, typer.Option("--suite", "-s", help=f"{SUITES} Default: that of the run folder.", metavar="NAME")
]
OwnSuite = Annotated[
    str | None, typer.Option("--suite", "-s", help="File of a suite of your own that the runs are of.", metavar="FILE")
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with the suites' data. Default: HALBENCH_DATA, else the user cache.", metavar="DIR"
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        "--images", help="Folder with the suite's images. Default: images/ in the suite's data folder.", metavar="DIR"
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Option of the suite, e.g. captions=pattern. May be repeated.", metavar="NAME=VALUE"),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Only the first N items; part of the signature.", metavar="N")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder to write.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
JudgeModel = Annotated[
    str | None,
    typer.Option(
        "--judge", help="Judge model, behind any OpenAI-compatible server. Key: OPENAI_API_KEY.", metavar="MODEL"
    ),
]
JudgeUrl = Annotated[
    str | None,
    typer.Option(
        "--judge-base-url", help="Address of the judge's server, e.g. http://localhost:8000/v1.", metavar="URL"
    ),
]
JudgePrompt = Annotated[
    Path | None,
    typer.Option(
        "--judge-prompt",
        help="Prompt file for the judge, such as the authors' (halbench data fetch). Default: our own.",
        metavar="FILE",
    ),
]
JudgeConcurrency = Annotated[
    int, typer.Option("--judge-concurrency", min=1, help="Requests under way at once.", metavar="N")
]

JudgeKwargs = Annotated[
    str,
    typer.Option(
        "--judge-kwargs",
        help="Further fields of the judge's requests, e.g. max_tokens=null,max_completion_tokens=2048.",
        metavar="NAME=VALUE,...",
    ),
]


def judge_options(model: str | None, base_url: str | None, concurrency: int, arguments: str) -> "JudgeOptions | None":
    """The judge that the options describe; None without --judge."""
    from halbench.errors import InputError
    from halbench.judge import JudgeOptions
    from halbench.suite_options import parse_arguments

    extra = parse_arguments("--judge-kwargs", arguments)
    if model is None and (base_url or extra):
        raise InputError(f"{'--judge-base-url' if base_url else '--judge-kwargs'} is given without --judge MODEL")
    for name in ("model", "messages", "stream", "n"):
        if name in extra:
            raise InputError(f"--judge-kwargs {name}: is set by halbench and cannot be changed")
    return JudgeOptions(model, base_url, concurrency, extra=extra) if model else None


class DtypeName(StrEnum):
    """What --dtype takes."""

    auto = "auto"
    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"


Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="Checkpoint folder, PEFT adapter folder or hub name; for other backends, what they call a model.",
        metavar="MODEL",
    ),
]
BackendName = Annotated[
    str,
    typer.Option(
        "--backend",
        help="hf (transformers), openai (a server), vllm, lmms:CLASS (lmms-eval), replay (answers from a file), or a .py file.",
        metavar="NAME",
    ),
]
BatchSize = Annotated[
    str,
    typer.Option("--batch-size", "-b", help="Items at once, or auto: shrinks when memory runs out.", metavar="N|auto"),
]
Dtype = Annotated[
    DtypeName,
    typer.Option("--dtype", help="Precision of the weights; auto: bfloat16 on a GPU that has it, float32 on a CPU."),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="cpu, cuda, cuda:1, mps or auto (spread over GPUs). Default: the best there is."),
]
GenKwargs = Annotated[
    str,
    typer.Option(
        "--gen-kwargs",
        help="Over the suite's decoding: max_new_tokens=64,num_beams=1; part of the signature.",
        metavar="NAME=VALUE,...",
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", help="Address of the model's server, e.g. http://localhost:8000/v1.", metavar="URL"),
]
Concurrency = Annotated[
    int, typer.Option("--concurrency", min=1, help="Requests to the model's server under way at once.", metavar="N")
]
ModelArgs = Annotated[
    str,
    typer.Option(
        "--model-args",
        help="Further arguments of the backend's engine, e.g. tensor_parallel_size=2 for vllm.",
        metavar="NAME=VALUE,...",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Of sampling; greedy decoding has none.")]
Detector = Annotated[
    str | None,
    typer.Option(
        "--detector", help="Finds key objects in pairs without boxes: Grounding DINO, OWLv2.", metavar="MODEL"
    ),
]
Segmenter = Annotated[
    str | None, typer.Option("--segmenter", help="Their outlines, not only boxes: SAM.", metavar="MODEL")
]
WordVectors = Annotated[
    str | None,
    typer.Option(
        "--word-vectors", help="spaCy model for the similarity of key words. Default: by letters.", metavar="NAME"
    ),
]
TrustRemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the checkpoint.")]


def plan(
    model: str,
    suite: str,
    backend: str,
    settings: list[str] | None,
    limit: int | None,
    out: Path | None,
    batch_size: str,
    dtype: DtypeName,
    device: str | None,
    gen_kwargs: str,
    seed: int,
    trust_remote_code: bool,
    data: Path | None,
    images: Path | None,
    base_url: str | None,
    concurrency: int,
    model_args: str,
) -> "Plan":
    """The plan that the options of `run` and `generate` describe."""
    from halbench.datasets import open_data
    from halbench.errors import InputError
    from halbench.running import Plan
    from halbench.suite_options import parse_arguments
    from halbench.types import BackendOptions

    if batch_size != "auto" and not (batch_size.isdigit() and int(batch_size)):
        raise InputError(f"--batch-size {batch_size}: expected a number from 1 or auto")
    size = int(batch_size) if batch_size.isdigit() else "auto"
    arguments = parse_arguments("--model-args", model_args)
    options = BackendOptions(size, dtype.value, device, seed, trust_remote_code, base_url, concurrency, arguments)  # type: ignore[arg-type]
    return Plan(model, suite, settings or [], open_data(data, images), backend, options, gen_kwargs, limit, out)


def need_reports(verb: str) -> None:
    """Tell before minutes of reading that the extra for reports is not installed."""
    lacking = next((name for name in ("jinja2", "matplotlib", "PIL") if find_spec(name) is None), None)
    if lacking:
        raise MissingExtra(f"halbench {verb} needs: pip install 'halbench[reports]' (no module '{lacking}')")
