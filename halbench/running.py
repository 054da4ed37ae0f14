"""A run: a model answers a suite's items, and the answers are judged and scored, all in one run folder.

`generate_run` is the first half, `run` both. Either goes on where an earlier one stopped, since finished rows are kept.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from halbench import plugins
from halbench.datasets import Data
from halbench.errors import InputError
from halbench.evaluation import (
    NO_VERDICTS,
    Evaluation,
    ask_judge,
    blaming_damaged_data,
    check_judge,
    default_folder,
    environment,
    evaluate,
    limited,
    load_suite,
    run_settings,
    stored_verdicts,
    write_evaluation,
)
from halbench.generation import generate, latest, silence
from halbench.judge import JudgeOptions, open_server
from halbench.ranks import Ranks, gather, join_ranks, part_folder, share
from halbench.run_folder import RunFolder
from halbench.suite_options import parse_arguments, parse_options
from halbench.types import DECODING, BackendOptions, Decoding, Response, Suite, Task

SECRET = re.compile(r"(^|_)(api_?key|secret|password)$|^((hf|auth|access|use_auth)_)?token$", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """What the user asks to be run. assignments: of the suite's options; gen_kwargs: "num_beams=3,top_k=50".

    backend: its name, or name:engine where it has several ("lmms:llava_hf").
    """

    model: str
    suite: str
    assignments: Sequence[str]
    data: Data
    backend: str = "hf"
    backend_options: BackendOptions = field(default_factory=BackendOptions)
    gen_kwargs: str = ""
    limit: int | None = None
    out: Path | None = None


@dataclass(frozen=True)
class Generated:
    """The answers of a model to a suite, in their folder."""

    suite: Suite
    task: Task
    decoding: Decoding
    responses: Sequence[Response]
    folder: RunFolder
    settings: Mapping[str, Any]


def generate_run(plan: Plan) -> Generated | None:
    """Let the model answer all items that the run folder holds no answer to. None on all but the first of several ranks."""
    suite, options, task = planned(plan)
    folder, ranks = RunFolder(plan.out or default_folder(plan.model, suite)), join_ranks()
    with folder.lock() if ranks.first else nullcontext():
        return _generate(plan, suite, options, task, folder, ranks)


def run(
    plan: Plan, judge: JudgeOptions | None, judge_prompt: Path | None, judgements: Path | None
) -> tuple[Evaluation, RunFolder] | None:
    """Generate, judge and score. None on all but the first of several ranks, which only generate."""
    suite, options, task = planned(plan)
    check_judge(suite, options, task, judgements, judge)
    folder, ranks = RunFolder(plan.out or default_folder(plan.model, suite)), join_ranks()
    if judge and not folder.judgements_path.is_file():
        open_server(judge)  # what is wrong with it is told before hours of generation, not after
    with folder.lock() if ranks.first else nullcontext():
        done = _generate(plan, suite, options, task, folder, ranks)
        if done is None:
            return None
        verdicts = NO_VERDICTS
        if judgements:
            verdicts = stored_verdicts(judgements, task, done.responses, judge_prompt)
        elif judge:
            verdicts = ask_judge(task, done.responses, judge, judge_prompt, folder)
        with blaming_damaged_data(suite, plan.data):
            evaluation = evaluate(suite, task, done.responses, done.decoding, verdicts)
        write_evaluation(folder, done.settings, evaluation, served_models(done.responses))
    return evaluation, folder


def planned(plan: Plan) -> tuple[Suite, Any, Task]:
    """The suite of a plan, its options, and its task cut to the limit. Raises where not one image is there."""
    suite = load_suite(plan.suite)
    options = parse_options(suite.options, plan.assignments)
    with blaming_damaged_data(suite, plan.data):
        task = limited(suite.load(plan.data, options, None), plan.limit)
    if plan.backend != "replay" and not any(item.image.is_file() for item in task.items):
        example = task.items[0].image
        raise InputError(
            f"none of the {len(task.items)} images of {suite.name} is there (the first is {example}). "
            f"Say where they lie with --images DIR, or see: halbench data status {suite.name}"
        )
    return suite, options, task


def _generate(plan: Plan, suite: Suite, options: Any, task: Task, folder: RunFolder, ranks: Ranks) -> Generated | None:
    decoding = with_arguments(suite.decoding, plan.gen_kwargs)
    name, _, engine = plan.backend.partition(":")
    module = plugins.load("halbench.backends", name)
    backend_options = replace(plan.backend_options, engine=engine or None)
    check_options(name, getattr(module, "OPTIONS", ()), backend_options)
    backend = module.open_backend(plan.model, backend_options)
    model = {**backend.identity(), "seed": str(plan.backend_options.seed)}
    settings = run_settings(suite, options, task, model, decoding, plan.limit)
    if ranks.first:
        check_rows(folder)
        folder.begin(settings)
        gather(folder)
    if ranks.world > 1:
        ranks.wait()
        held = latest(folder.read(Response, folder.responses_path))
        mine = [item for item in share(task.items, ranks) if item.id not in held or held[item.id].state == "error"]
        generate(mine, backend, decoding, part_folder(folder, ranks), None if ranks.first else silence)
        ranks.wait()
        if not ranks.first:
            return None
        gather(folder)
        held = latest(folder.read(Response, folder.responses_path))
        responses = [held[item.id] for item in task.items]
    else:
        responses = generate(task.items, backend, decoding, folder)
    fields = {"settings": settings, **served_models(responses), "environment": environment()}
    folder.write_manifest({"status": "generated", **fields})
    return Generated(suite, task, decoding, responses, folder, settings)


def check_rows(folder: RunFolder) -> None:
    """Raise InputError for a damaged file of responses, before anything is changed."""
    try:
        folder.read(Response, folder.responses_path)
    except InputError as error:
        raise InputError(f"{error}. Remove that line, and its item is asked again") from error


def check_options(backend: str, taken: Sequence[str], options: BackendOptions) -> None:
    """Raise InputError for an option that the backend would leave unread. taken: its OPTIONS."""
    given = {"base_url": options.base_url, "model_args": options.model_args}
    if options.engine and "engine" not in taken:
        raise InputError(f"--backend {backend}:{options.engine}: {backend} takes nothing after a colon")
    for name, value in given.items():
        if value and name not in taken:
            raise InputError(f"--backend {backend} takes no --{name.replace('_', '-')}")
    if secret := next((name for name in options.model_args if SECRET.search(name)), None):
        raise InputError(
            f"--model-args {secret}: would be written into the manifest; give it in the environment instead"
        )


def served_models(responses: Sequence[Response]) -> dict[str, list[str]]:
    """The models that servers say they answered with, as a field of the manifest; {} where no server took part."""
    served = sorted({str(row.extra["served_model"]) for row in responses if "served_model" in row.extra})
    return {"served_models": served} if served else {}


def with_arguments(decoding: Decoding, arguments: str) -> Decoding:
    """The suite's decoding with the user's `--gen-kwargs` over it: "max_new_tokens=64,num_beams=1,top_k=50"."""
    given = parse_arguments("--gen-kwargs", arguments)
    for name in ("max_new_tokens", "num_beams"):
        if name in given and (type(given[name]) is not int or given[name] < 1):
            raise InputError(f"--gen-kwargs {name}={given[name]}: expected a whole number from 1")
    for name in ("temperature", "top_p"):
        if name in given and (type(given[name]) not in (int, float) or given[name] < 0):
            raise InputError(f"--gen-kwargs {name}={given[name]}: expected a number from 0")
    own = {name: given.pop(name) for name in DECODING if name in given}
    return replace(decoding, **own, extra={**decoding.extra, **given})
