"""A run: a model answers a suite's items, and the answers are judged and scored, all in one run folder.

`generate_run` is the first half, `run` is both. Finished rows are kept, so either one resumes an interrupted run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from halbench.data.datasets import Data
from halbench.errors import InputError, MissingData
from halbench.evaluation.choice import NOTHING_ALLOWED, SUITES, Acceptance, SuiteChoice
from halbench.evaluation.evaluate import (
    Evaluation,
    default_folder,
    environment,
    evaluate,
    run_settings,
    write_evaluation,
)
from halbench.evaluation.suites import load_suite, naming_damaged_data, open_task
from halbench.folders.run import RunFolder
from halbench.judging.judge import open_server
from halbench.judging.judgements import check_judging, describe_requests, find_judgements
from halbench.judging.options import Judging
from halbench.running.generation import generate, latest
from halbench.running.opening import OneModel, model_identity
from halbench.running.plan import Plan
from halbench.running.ranks import Ranks, init_ranks, merge_rank_files, part_folder, shard
from halbench.settings import parse_options
from halbench.types import DECODING, BackendOptions, Decoding, Response, Suite, Task

GIVEN = "--gen-kwargs (generation= in Python)"
ASSUMED_WORDS = 80
"""Length of an answer that is not there yet, for the price of judging it."""


@dataclass(frozen=True)
class SuiteTask:
    """The suite of a plan with its options, and its task cut to the limit."""

    suite: Suite
    options: Any
    task: Task
    data: Data


@dataclass(frozen=True)
class Generated:
    """A model's answers to a suite, in their folder."""

    suite: Suite
    task: Task
    decoding: Decoding
    responses: Sequence[Response]
    folder: RunFolder
    settings: Mapping[str, Any]


def generate_run(
    plan: Plan,
    choice: SuiteChoice,
    backend: BackendOptions,
    model: OneModel | None = None,
    opened: SuiteTask | None = None,
) -> Generated | None:
    """Let the model answer all items without an answer in the run folder. None on all but the first of several ranks. model,
    opened: those of the plan, if several runs share them."""
    opened = opened or open_plan(plan, choice)
    folder, ranks = run_folder(plan, opened.suite), init_ranks()
    with ranks.locked(folder):
        return _generate(plan, opened, model or OneModel(plan, backend), folder, ranks)


def run(
    plan: Plan,
    choice: SuiteChoice,
    backend: BackendOptions,
    judging: Judging,
    acceptance: Acceptance = NOTHING_ALLOWED,
    model: OneModel | None = None,
    opened: SuiteTask | None = None,
) -> tuple[Evaluation, RunFolder] | None:
    """Generate, judge and score. None on all but the first of several ranks, which only generate. model, opened: those of
    the plan, if several runs share them."""
    opened = opened or open_plan(plan, choice)
    check_plan(plan, opened, judging)
    suite, task = opened.suite, opened.task
    folder, ranks = run_folder(plan, suite), init_ranks()
    with ranks.locked(folder):
        generated = _generate(plan, opened, model or OneModel(plan, backend), folder, ranks)
        if generated is None:
            return None
        verdicts = find_judgements(judging, task, generated.responses, folder)
        with naming_damaged_data(suite, opened.data):
            evaluation = evaluate(
                suite,
                task,
                generated.responses,
                generated.decoding,
                verdicts,
                acceptance.allow,
                generated.settings["model"],
            )
        write_evaluation(
            folder,
            generated.settings,
            evaluation,
            {**named(plan), **served_models(generated.responses), **verdicts.record},
        )
    return evaluation, folder


def describe_run(plan: Plan, choice: SuiteChoice, judging: Judging) -> str:
    """What `run` would generate and ask a judge, in one line; the model is not opened, and nothing is asked or written."""
    opened = open_plan(plan, choice)
    task = opened.task
    check_judging(opened.suite, opened.options, task, judging)
    folder = run_folder(plan, opened.suite)
    rows = latest(folder.read(Response, folder.responses_path))
    done = {id: row for id, row in rows.items() if row.state != "error"}
    text = f"{sum(item.id not in done for item in task.items):,} of {len(task.items):,} answers to generate"
    if judging.judge is None:
        return f"{text}; no judge is asked"
    stand_in = " ".join(["word"] * ASSUMED_WORDS)
    responses = [done.get(item.id, Response(item.id, stand_in)) for item in task.items]
    if len(done) < len(task.items):
        text += f" (of {ASSUMED_WORDS} words, it is assumed)"
    return f"{text}; {describe_requests(task, responses, judging.judge, judging.prompt, folder)}"


def run_folder(plan: Plan, suite: Suite) -> RunFolder:
    """Where a plan's run is written."""
    return RunFolder(plan.out or default_folder(plan.model, suite))


def check_plan(plan: Plan, opened: SuiteTask, judging: Judging) -> None:
    """Raise InputError for generation settings or a judge that would fail after hours of generation."""
    planned_decoding(plan, opened.suite)
    check_judging(opened.suite, opened.options, opened.task, judging)
    if judging.judge and not run_folder(plan, opened.suite).judgements_path.is_file():
        open_server(judging.judge)


def open_plan(plan: Plan, choice: SuiteChoice) -> SuiteTask:
    """The suite that a plan runs. Raises MissingData if none of its images exists."""
    if choice.suite is None:
        raise InputError(f"--suite is needed: {SUITES}")
    suite, data = load_suite(choice.suite), choice.open()
    options = parse_options(suite.options, choice.settings)
    task = open_task(suite, data, options, None, plan.limit)
    images = dict.fromkeys(path for item in task.items for path in item.images)
    if plan.backend != "replay" and images and not any(path.is_file() for path in images):
        raise MissingData(
            f"none of the {len(images)} images of {suite.name} exists (the first is {next(iter(images))}). "
            f"Name their folder with --images DIR, or see: halbench data status {suite.name}"
        )
    return SuiteTask(suite, options, task, data)


def _generate(plan: Plan, opened: SuiteTask, model: OneModel, folder: RunFolder, ranks: Ranks) -> Generated | None:
    suite, task = opened.suite, opened.task
    with ranks.together():
        decoding, backend = planned_decoding(plan, suite), model.backend
        identity = {**model_identity(backend), "seed": str(model.options.seed)}
        settings = run_settings(suite, opened.options, task, identity, decoding, plan.limit)
        if ranks.is_main:
            check_rows(folder)
            folder.begin(settings)
            merge_rank_files(folder)
    if ranks.world > 1:
        rows = latest(folder.read(Response, folder.responses_path))
        own = [item for item in shard(task.items, ranks) if item.id not in rows or rows[item.id].state == "error"]
        with ranks.together():
            generate(own, backend, decoding, part_folder(folder, ranks))
        if not ranks.is_main:
            return None
        merge_rank_files(folder)
        rows = latest(folder.read(Response, folder.responses_path))
        responses = [rows[item.id] for item in task.items]
    else:
        responses = generate(task.items, backend, decoding, folder)
    fields = {"settings": settings, **named(plan), **served_models(responses), "environment": environment()}
    folder.write_manifest({"status": "generated", **fields})
    return Generated(suite, task, decoding, responses, folder, settings)


def named(plan: Plan) -> dict[str, str]:
    """The name by which reports call the model, as a field of the manifest; {} for its own."""
    return {"name": plan.name} if plan.name else {}


def planned_decoding(plan: Plan, suite: Suite) -> Decoding:
    """The suite's decoding with what the plan changes in it."""
    plan.reasoning.tags()  # a mistake in them shows before the model is loaded
    return replace(with_arguments(suite.decoding, plan.gen_kwargs), reasoning=plan.reasoning)


def check_rows(folder: RunFolder) -> None:
    """Raise InputError for a damaged file of responses, before anything is changed."""
    try:
        folder.read(Response, folder.responses_path)
    except InputError as error:
        raise InputError(f"{error}. Remove that line, and its item is generated again") from error


def served_models(responses: Sequence[Response]) -> dict[str, list[str]]:
    """The models that servers report to have answered, as a field of the manifest; {} for answers without a server."""
    served = sorted({str(row.extra["served_model"]) for row in responses if "served_model" in row.extra})
    return {"served_models": served} if served else {}


def with_arguments(decoding: Decoding, gen_kwargs: Mapping[str, Any]) -> Decoding:
    """The suite's decoding, overridden by the user's `--gen-kwargs`, such as {"max_new_tokens": 64, "top_k": 50}."""
    overrides = dict(gen_kwargs)
    for name in ("max_new_tokens", "num_beams"):
        if name in overrides and (type(overrides[name]) is not int or overrides[name] < 1):
            raise InputError(f"{GIVEN} {name}={overrides[name]}: expected a whole number from 1")
    for name in ("temperature", "top_p"):
        if name in overrides and (type(overrides[name]) not in (int, float) or overrides[name] < 0):
            raise InputError(f"{GIVEN} {name}={overrides[name]}: expected a number from 0")
    own = {name: overrides.pop(name) for name in DECODING if name in overrides}
    return replace(decoding, **own, extra={**decoding.extra, **overrides})
