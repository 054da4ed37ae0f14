"""What `halbench score` and `halbench run` share: from responses to results, judged, signed and written down."""

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import halbench
from halbench import plugins
from halbench.datasets import Data, file_states, read_sources
from halbench.errors import InputError, MissingData
from halbench.judge import JudgeOptions, fill, identity, judge, read_template, served_models
from halbench.judgement_files import read_judgement_file
from halbench.records import content_hash, file_hash, read_jsonl, write_json, write_jsonl
from halbench.response_files import read_response_file, response_rows, responses_of
from halbench.run_folder import RunFolder
from halbench.scoring import Coverage, coverage, items_identity, results, score_responses, signature, signature_fields
from halbench.suite_options import option_values, parse_options
from halbench.types import Decoding, Judgement, Response, Result, Score, Suite, Task

RECORDED_PACKAGES = (
    "numpy",
    "nltk",
    "textblob",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "openai",
    "vllm",
    "lmms-eval",
    "spacy",
)


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
    """The suite called `name`, or the one in a .py file, whose content is then part of the version."""
    module = plugins.load("halbench.suites", name)
    suite = getattr(module, "SUITE", None)
    if not isinstance(suite, Suite):
        raise InputError(f"suite {name}: expected the module to hold a halbench.types.Suite as SUITE")
    return replace(suite, version=f"{suite.version}-{file_hash(Path(name), 8)}") if name.endswith(".py") else suite


def suite_of(folder: RunFolder, file: str | None = None) -> Suite:
    """The suite that a run folder is of. file: see named_suite."""
    try:
        name = str(folder.manifest()["settings"]["suite"]["name"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder.manifest_path}: its settings are not whole ({error}); was it edited?") from error
    return named_suite(name, file)


def named_suite(name: str, file: str | None = None) -> Suite:
    """The suite that a run folder names: one of ours, or the one in the file that the user gives. What a folder says is
    never run as code."""
    suite = load_suite(file) if file else None
    if suite and suite.name == name:
        return suite
    if name not in plugins.names("halbench.suites"):
        found = f"{file} holds '{suite.name}'" if suite else "name its file with --suite FILE"
        raise InputError(f"suite '{name}' is none of halbench's own: {found}")
    return load_suite(name)


@contextmanager
def blaming_damaged_data(suite: Suite, data: Data) -> Iterator[None]:
    """Turn an exception into one clear line where a data file of the suite is not what its authors published."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        sources = read_sources()
        if suite.name not in sources.suites():  # a user's own suite, whose error is its own
            raise
        states = file_states(sources.of(suite.name), data)
        damaged = next((state for state in states if state.state == "differs"), None)
        if damaged is None:
            raise
        raise MissingData(
            f"{damaged.path} is not as its authors published it ({type(error).__name__}: {error}). "
            f"Remove it and run: halbench data fetch {suite.name}"
        ) from error


def judge_prompts(task: Task, responses: Sequence[Response], template: str) -> dict[str, str]:
    """Item id -> what a judge is asked about its response, for the responses that need a judge."""
    assert task.judge is not None
    items = {item.id: item for item in task.items}
    prompts = {}
    for response in responses:
        values = None if response.state == "error" else task.judge.values(items[response.item], response)
        if values is not None:
            prompts[response.item] = fill(template, values)
    return prompts


def ask_judge(
    task: Task, responses: Sequence[Response], options: JudgeOptions, prompt: Path | None, folder: RunFolder
) -> Verdicts:
    """A judge's verdict on each response that needs one; replies that the folder holds are not asked for again."""
    assert task.judge is not None
    template = read_template(prompt, task.judge.template)
    prompts = judge_prompts(task, responses, template)
    verdicts = judge(prompts, task.judge.readable, options, folder, task.judge.role) if prompts else {}
    fields = {
        "judge": options.model,
        "judge_served": ",".join(served_models(verdicts.values())) or "none",
        "judge_prompt": content_hash(template, 8),
        "judge_settings": content_hash(identity(options), 8),
    }
    return Verdicts(verdicts, fields)


def stored_verdicts(file: Path, task: Task, responses: Sequence[Response], prompt: Path | None) -> Verdicts:
    """Verdicts from a file of replies. Replies that tell what was asked must have been asked about these responses."""
    assert task.judge is not None
    judgements = read_judgement_file(file, [response.item for response in responses])
    template = read_template(prompt, task.judge.template)
    asked = {item: judgement.prompt_hash for item, judgement in judgements.items() if judgement.prompt_hash}
    if asked:
        prompts = judge_prompts(task, responses, template)
        strangers = [item for item, hashed in asked.items() if content_hash(prompts.get(item, "")) != hashed]
        if strangers:
            raise InputError(
                f"{file}: {len(strangers)} of {len(asked)} judgements (the first of item '{strangers[0]}') are of other responses, "
                "or were asked with another prompt; name that with --judge-prompt FILE"
            )
    fields = {
        "judge": ",".join(sorted({judgement.requested_model for judgement in judgements.values()})),
        "judge_served": ",".join(served_models(judgements.values())) or "none",
        "judge_prompt": content_hash(template, 8) if asked else "stored",
        "judge_settings": "stored",
    }
    return Verdicts(judgements, fields)


def kept_verdicts(folder: RunFolder) -> Verdicts:
    """The verdicts that a run folder holds, as its own signature tells them; none where it was not judged."""
    fields = folder.manifest().get("signature_fields", {})
    judged = {name: value for name, value in fields.items() if name.startswith("judge")}
    return Verdicts({row.item: row for row in folder.read(Judgement, folder.judgements_path)} if judged else {}, judged)


def evaluate(
    suite: Suite, task: Task, responses: Sequence[Response], decoding: Decoding | None, verdicts: Verdicts
) -> Evaluation:
    """Score responses. decoding None: they came from a file that does not tell how they were generated."""
    scores = score_responses(task, responses, verdicts.judgements)
    fields = signature_fields(suite, task, decoding, verdicts.fields)
    rows = results(suite, task, scores, signature(fields))
    return Evaluation(suite, scores, rows, coverage(task.items, scores, responses), fields)


def run_settings(
    suite: Suite,
    options: Any,
    task: Task,
    model: Mapping[str, Any],
    decoding: Decoding | None,
    limit: int | None = None,
) -> dict[str, Any]:
    """What a run folder belongs to; a run goes on in it only with the same."""
    return {
        "suite": {"name": suite.name, "version": suite.version, "options": option_values(options)},
        "items": items_identity(task.items),
        "decoding": decoding,
        "model": model,
        "limit": limit,
    }


def write_evaluation(
    folder: RunFolder, settings: Mapping[str, Any], evaluation: Evaluation, served: Mapping[str, Any] | None = None
) -> None:
    """Write scores and results, and the manifest last. served: its fields about the server that answered, if one did."""
    write_jsonl(folder.scores_path, evaluation.scores)
    write_json(folder.results_path, evaluation.results)
    folder.write_manifest(
        {
            "status": "complete" if evaluation.coverage.complete else "incomplete",
            "settings": settings,
            **(served or {}),
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
    name: str | None,
    assignments: Sequence[str],
    data: Data,
    source: Path,
    judgement_file: Path | None = None,
    judge_options: JudgeOptions | None = None,
    judge_prompt: Path | None = None,
    out: Path | None = None,
) -> Evaluation:
    """Score a response file, or the responses of a run folder again, which tells its suite where no name is given. With
    `out`, or with a judge, leaves a run folder."""
    if name is None and not source.is_dir():
        raise InputError(f"{source}: responses to which suite? Say it with --suite; only a run folder tells it itself")
    suite = load_suite(name) if name else suite_of(RunFolder(source))
    stored = read_stored(suite, assignments, data, source)
    task, responses = stored.task, stored.responses
    check_judge(suite, stored.options, task, judgement_file, judge_options)
    settings = run_settings(suite, stored.options, task, stored.model, stored.decoding, stored.limit)
    if judge_options is not None and out is None:
        out = default_folder(source.stem, suite)
    if out is not None and source.is_dir() and out.resolve() == source.resolve():
        raise InputError(f"--out {out} is the run folder that is scored; choose another, or leave --out away")

    def verdicts(folder: RunFolder | None) -> Verdicts:
        if judgement_file:
            return stored_verdicts(judgement_file, task, responses, judge_prompt)
        if judge_options and folder:
            return ask_judge(task, responses, judge_options, judge_prompt, folder)
        return kept_verdicts(RunFolder(source)) if task.judge and source.is_dir() else NO_VERDICTS

    with blaming_damaged_data(suite, data):
        if out is None:
            return evaluate(suite, task, responses, stored.decoding, verdicts(None))
        folder = RunFolder(out)
        with folder.lock():
            folder.begin(settings)
            write_jsonl(folder.responses_path, responses)
            found = verdicts(folder)
            if not judge_options and found.judgements:
                write_jsonl(folder.judgements_path, found.judgements.values())
            evaluation = evaluate(suite, task, responses, stored.decoding, found)
            write_evaluation(folder, settings, evaluation)
        return evaluation


@dataclass(frozen=True)
class Stored:
    """Responses from a file or run folder, matched to the items of a task. decoding, limit: of the run that made them."""

    options: Any
    task: Task
    responses: Sequence[Response]
    model: Mapping[str, Any]
    decoding: Decoding | None
    limit: int | None


def read_stored(suite: Suite, assignments: Sequence[str], data: Data, source: Path) -> Stored:
    """What a response file or a run folder holds. A run folder brings its own options, which `assignments` may change."""
    if source.is_dir():
        return read_run(suite, assignments, data, RunFolder(source))
    options = parse_options(suite.options, assignments)
    rows = read_response_file(source)
    with blaming_damaged_data(suite, data), naming_rows(source):
        task = suite.load(data, options, rows)
        responses = responses_of(rows, suite.match(task.items, rows))
    return Stored(options, task, responses, {"responses": source.name, "sha256": file_hash(source)}, None, None)


def read_run(suite: Suite, assignments: Sequence[str], data: Data, folder: RunFolder) -> Stored:
    """The responses of a run folder against all the items that it was made for, answered or not."""
    run = folder.manifest().get("settings")
    try:
        made_with, decoding, limit = run["suite"]["options"], run["decoding"], run["limit"]  # type: ignore[index]
        items, model, told = run["items"], run["model"], str(run["suite"]["name"])  # type: ignore[index]
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder.manifest_path}: its settings are not whole ({error}); was it edited?") from error
    if told != suite.name:
        raise InputError(f"{folder.path} is a run of suite '{told}', not of '{suite.name}'")
    options = parse_options(suite.options, [*(f"{key}={value}" for key, value in made_with.items()), *assignments])
    found = list(read_jsonl(folder.responses_path, torn_tail=True))
    rows = response_rows(found, folder.responses_path)
    if decoding:  # a model answered the suite's own items; a failed one was asked again, and its last row counts
        rows = list({row.id: row for row in rows}.values())
    with blaming_damaged_data(suite, data), naming_rows(folder.responses_path):
        task = limited(suite.load(data, options, None if decoding else rows), limit)
        responses = responses_of(rows, suite.match(task.items, rows))
    if items_identity(task.items) != items:
        raise InputError(
            f"{folder.path} was made for the items {items}, but {suite.name} now has {items_identity(task.items)}: "
            "its data, its options or the responses have changed"
        )
    return Stored(options, task, responses, model, Decoding(**decoding) if decoding else None, limit)


@contextmanager
def naming_rows(file: Path) -> Iterator[None]:
    """Put the file before complaints that a suite has about a row."""
    try:
        yield
    except InputError as error:
        place = re.match(r"line (\d+): ", str(error))
        if place is None:
            raise
        where = f"{file}: entry {place[1]}: " if file.suffix == ".json" else f"{file}:{place[1]}: "
        raise InputError(where + str(error)[place.end() :]) from error


def check_judge(
    suite: Suite, options: Any, task: Task, judgement_file: Path | None, judge_options: JudgeOptions | None
) -> None:
    """Raise InputError where a judge is given to a suite that asks none, or two sources of verdicts are."""
    if judgement_file and judge_options:
        raise InputError("--judgements and --judge are both given; verdicts come from one of them")
    if task.judge is None and (judgement_file or judge_options):
        shown = ", ".join(f"{key}={value}" for key, value in option_values(options).items()) or "(none)"
        raise InputError(f"suite {suite.name} asks no judge with its options {shown}, but one is given; see --set")
