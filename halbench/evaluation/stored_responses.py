"""Stored responses: from a file or a run folder, matched to the items of a suite."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.evaluation.signature import items_identity
from halbench.evaluation.suite_contract import matched_ids
from halbench.evaluation.suites import naming_damaged_data, open_task
from halbench.files.records import file_hash, read_jsonl
from halbench.folders.run import OLDEST_RESPONSES, RunFolder
from halbench.reasoning import SPLIT, Reasoning
from halbench.responses.response_files import TEXT_FIELDS, read_response_file, response_rows, responses_of
from halbench.settings import parse_options
from halbench.terminal.progress import say
from halbench.types import Decoding, Item, Response, ResponseRow, Suite, Task


@dataclass(frozen=True)
class StoredResponses:
    """Responses from a file or run folder, matched to the items of a task. decoding, limit: of their run, None for a file.
    reasoning: how thoughts in a file were treated."""

    options: Any
    task: Task
    responses: Sequence[Response]
    model: Mapping[str, Any]
    decoding: Decoding | None
    limit: int | None
    reasoning: Reasoning = SPLIT


def read_stored_responses(
    suite: Suite, assignments: Sequence[str], data: Data, source: Path, reasoning: Reasoning = SPLIT
) -> StoredResponses:
    """The responses in a response file or a run folder. A run folder has options of its own; `assignments` override them."""
    reasoning.tags()
    if source.is_dir():
        stored = read_run(suite, assignments, data, RunFolder(source))
        if reasoning not in (SPLIT, stored.reasoning):
            raise InputError(
                f"{source}: thoughts were set apart when this run folder was made; --reasoning and --reasoning-tags are for "
                "files, and for halbench run"
            )
        return stored
    options = parse_options(suite.options, assignments)
    rows = read_response_file(source)
    with naming_damaged_data(suite, data), locating_errors(source):
        task = open_task(suite, data, options, rows)
        ids = matched_ids(suite, task.items, rows)
        refuse_questions(task.items, rows, ids)
        responses = responses_of(rows, ids, reasoning)
    return StoredResponses(
        options, task, responses, {"responses": source.name, "sha256": file_hash(source)}, None, None, reasoning
    )


def refuse_questions(items: Sequence[Item], rows: Sequence[ResponseRow], ids: Sequence[str]) -> None:
    """Raise InputError for a file of questions: the first row whose text is its own question. A model that repeats a
    question is not one, if the row has the question in another field and other rows have answers."""
    prompts = {item.id: item.prompt.strip() for item in items}
    repeated = [row for row, id in zip(rows, ids, strict=True) if row.text.strip() == prompts[id] != ""]
    found = next((row for row in repeated if row.prompt is None or len(repeated) == len(rows)), None)
    if found is not None:
        raise InputError(
            f"line {found.line}: the response is the question itself, {found.text.strip()[:60]!r}; is this the question "
            f"file? Expected the model's answer in one of {', '.join(TEXT_FIELDS)}"
        )


def read_run(suite: Suite, assignments: Sequence[str], data: Data, folder: RunFolder) -> StoredResponses:
    """The responses of a run folder and all the items that it was run on, answered or not."""
    manifest = folder.manifest(OLDEST_RESPONSES)
    run, responses_file = manifest.settings, folder.responses_path
    if responses_file.is_file() and manifest.files.get(responses_file.name) not in (None, file_hash(responses_file)):
        say(f"{responses_file} has changed since it was scored; the numbers are those of its present content")
    if run.suite.name != suite.name:
        raise InputError(f"{folder.path} is a run of suite '{run.suite.name}', not of '{suite.name}'")
    made_with = [f"{key}={value}" for key, value in run.suite.options.items()]
    try:
        parse_options(suite.options, made_with)
    except InputError as error:
        raise InputError(f"{folder.manifest_path}: settings: suite: options: {error}") from error
    options = parse_options(suite.options, [*made_with, *assignments])
    rows = response_rows(read_jsonl(folder.responses_path, torn_tail=True), folder.responses_path)
    if run.decoding:  # a model answered the suite's items; failed ones were repeated, and the last row counts
        rows = list({row.id: row for row in rows}.values())
    with naming_damaged_data(suite, data), locating_errors(folder.responses_path):
        task = open_task(suite, data, options, None if run.decoding else rows, run.limit)
        responses = responses_of(rows, matched_ids(suite, task.items, rows), run.reasoning)
    if items_identity(task.items) != run.items:
        raise InputError(
            f"{folder.path} was made for the items {run.items}, but {suite.name} now has {items_identity(task.items)}: "
            "its data, its options or the responses have changed"
        )
    decoding = run.decoding and replace(run.decoding, reasoning=run.reasoning)
    return StoredResponses(options, task, responses, run.model, decoding, run.limit, run.reasoning)


@contextmanager
def locating_errors(file: Path) -> Iterator[None]:
    """Add the file to error messages that name only a line."""
    try:
        yield
    except InputError as error:
        line = re.match(r"line (\d+): ", str(error))
        if line is None:
            raise
        where = f"{file}: entry {line[1]}: " if file.suffix == ".json" else f"{file}:{line[1]}: "
        raise InputError(where + str(error)[line.end() :]) from error
