"""What `halbench score` and `halbench run` share: from responses to results, judged, signed and written down."""

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import halbench
from halbench import plugins
from halbench.datasets import Data
from halbench.errors import InputError
from halbench.judge import JudgeOptions, fill, judge, read_template, served_models
from halbench.judgement_files import read_judgement_file
from halbench.records import content_hash, file_hash, write_json, write_jsonl
from halbench.response_files import read_response_file, responses_of
from halbench.run_folder import RunFolder
from halbench.scoring import Coverage, coverage, items_identity, results, score_responses, signature, signature_fields
from halbench.suite_options import option_values, parse_options
from halbench.types import Decoding, Judgement, Response, Result, Score, Suite, Task

RECORDED_PACKAGES = ("numpy", "nltk", "textblob", "torch", "transformers", "peft", "accelerate", "openai", "spacy")


@dataclass(frozen=True)
class Verdicts:
    """What a judge said of the responses. fields: how it is told in the signature."""

    judgements: Mapping[str, Judgement]
    fields: Mapping[str, str]


NO_VERDICTS = Verdicts({}, {})


@dataclass(frozen=True)
class Evaluation:
    """Scores and results of one set of responses. fields: of the signature."""

    suite: Suite
    scores: Sequence[Score]
    results: Sequence[Result]
    coverage: Coverage
    fields: Mapping[str, str]

    @property
    def signature(self) -> str:
        return signature(self.fields)


def load_suite(name: str) -> Suite:
    """The suite called `name`, or the one in a .py file."""
    module = plugins.load("halbench.suites", name)
    suite = getattr(module, "SUITE", None)
    if not isinstance(suite, Suite):
        raise InputError(f"suite {name}: expected the module to hold a halbench.types.Suite as SUITE")
    return suite


def ask_judge(
    task: Task, responses: Sequence[Response], options: JudgeOptions, prompt: Path | None, folder: RunFolder
) -> Verdicts:
    """A judge's verdict on each response that needs one; replies that the folder holds are not asked for again."""
    assert task.judge is not None
    template = read_template(prompt, task.judge.template)
    items = {item.id: item for item in task.items}
    prompts = {}
    for response in responses:
        values = None if response.state == "error" else task.judge.values(items[response.item], response)
        if values is not None:
            prompts[response.item] = fill(template, values)
    verdicts = judge(prompts, task.judge.readable, options, folder, task.judge.role) if prompts else {}
    fields = {"judge": options.model, "judge_prompt": content_hash(template, 8)}
    return Verdicts(verdicts, {**fields, "judge_served": ",".join(served_models(verdicts.values())) or "none"})


def stored_verdicts(judgements: Mapping[str, Judgement]) -> Verdicts:
    """Verdicts from a file: the prompt that led to them is not known."""
    requested = ",".join(sorted({judgement.requested_model for judgement in judgements.values()}))
    served = ",".join(served_models(judgements.values())) or "none"
    return Verdicts(judgements, {"judge": requested, "judge_prompt": "stored", "judge_served": served})


def evaluate(
    suite: Suite, task: Task, responses: Sequence[Response], decoding: Decoding | None, verdicts: Verdicts
) -> Evaluation:
    """Score responses. decoding None: they came from a file that does not tell how they were generated."""
    scores = score_responses(task, responses, verdicts.judgements)
    fields = signature_fields(suite, task, decoding, verdicts.fields)
    rows = results(suite, task, scores, signature(fields))
    return Evaluation(suite, scores, rows, coverage(task.items, scores, responses), fields)


def run_settings(
    name: str,
    suite: Suite,
    options: Any,
    task: Task,
    model: Mapping[str, Any],
    decoding: Decoding | None,
    limit: int | None = None,
) -> dict[str, Any]:
    """What a run folder belongs to; a run goes on in it only with the same. name: of the suite, or its file."""
    return {
        "suite": {"name": name, "version": suite.version, "options": option_values(options)},
        "items": items_identity(task.items),
        "decoding": decoding,
        "model": model,
        "limit": limit,
    }


def write_evaluation(folder: RunFolder, settings: Mapping[str, Any], evaluation: Evaluation) -> None:
    """Write scores and results, and the manifest last."""
    write_jsonl(folder.scores_path, evaluation.scores)
    write_json(folder.results_path, evaluation.results)
    folder.write_manifest(
        {
            "status": "complete" if evaluation.coverage.complete else "incomplete",
            "settings": settings,
            "signature": evaluation.signature,
            "signature_fields": evaluation.fields,
            "coverage": evaluation.coverage,
            "environment": environment(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )


def environment() -> dict[str, str]:
    """Versions of what took part, for the manifest; the machine's name stays out."""
    versions = {
        "halbench": halbench.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def limited(task: Task, limit: int | None) -> Task:
    """The first `limit` items of a task; which they are is part of the signature."""
    return task if limit is None else replace(task, items=task.items[:limit])


def default_folder(model: str, suite: Suite) -> Path:
    """runs/MODEL__SUITE: where a run goes if the user names no place."""
    name = Path(model.rstrip("/")).name.replace(":", "-") or "model"
    return Path("runs") / f"{name}__{suite.name}"


def score_stored(
    name: str,
    assignments: Sequence[str],
    data: Data,
    source: Path,
    judgement_file: Path | None = None,
    judge_options: JudgeOptions | None = None,
    judge_prompt: Path | None = None,
    out: Path | None = None,
) -> Evaluation:
    """Score a response file, or the responses of a run folder again. With `out`, or with a judge, leaves a run folder."""
    suite = load_suite(name)
    run = RunFolder(source).manifest()["settings"] if source.is_dir() else None
    kept = [f"{key}={value}" for key, value in run["suite"]["options"].items()] if run else []
    options = parse_options(suite.options, [*kept, *assignments])
    file = RunFolder(source).responses_path if run else source
    rows = read_response_file(file)
    if run:
        rows = list({row.id: row for row in rows}.values())  # a failed item was asked again: its last row counts
    try:
        task = limited(suite.load(data, options, rows), run["limit"] if run else None)
        ids = suite.match(task.items, rows)
    except InputError as error:
        place = re.match(r"line (\d+): ", str(error))
        if place is None:
            raise
        where = f"{file}: entry {place[1]}: " if file.suffix == ".json" else f"{file}:{place[1]}: "
        raise InputError(where + str(error)[place.end() :]) from error
    responses = responses_of(rows, ids)
    decoding = Decoding(**run["decoding"]) if run and run["decoding"] else None
    model = run["model"] if run else {"responses": file.name, "sha256": file_hash(file)}
    check_judge(suite, options, task, judgement_file, judge_options)
    if judge_options is not None and out is None:
        out = default_folder(file.stem, suite)
    if out is None:
        verdicts = stored_verdicts(read_judgement_file(judgement_file, ids)) if judgement_file else NO_VERDICTS
        return evaluate(suite, task, responses, decoding, verdicts)
    folder = RunFolder(out)
    with folder.lock():
        settings = run_settings(name, suite, options, task, model, decoding, run["limit"] if run else None)
        folder.begin(settings)
        write_jsonl(folder.responses_path, responses)
        if judgement_file:
            verdicts = stored_verdicts(read_judgement_file(judgement_file, ids))
            write_jsonl(folder.judgements_path, verdicts.judgements.values())
        elif judge_options:
            verdicts = ask_judge(task, responses, judge_options, judge_prompt, folder)
        else:
            verdicts = NO_VERDICTS
        evaluation = evaluate(suite, task, responses, decoding, verdicts)
        write_evaluation(folder, settings, evaluation)
    return evaluation


def check_judge(
    suite: Suite, options: Any, task: Task, judgement_file: Path | None, judge_options: JudgeOptions | None
) -> None:
    """Raise InputError where a judge is given to a suite that asks none, or two sources of verdicts are."""
    if judgement_file and judge_options:
        raise InputError("--judgements and --judge are both given; verdicts come from one of them")
    if task.judge is None and (judgement_file or judge_options):
        shown = ", ".join(f"{key}={value}" for key, value in option_values(options).items()) or "(none)"
        raise InputError(f"suite {suite.name} asks no judge with its options {shown}, but one is given; see --set")
