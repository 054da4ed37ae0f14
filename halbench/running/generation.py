"""From items to responses.jsonl, in such a way that a killed run resumes.

The file is only ever appended to. The next run repeats an item that failed, so an item can have several rows; the last one
counts, and a finished answer ("ok" or "empty") is never generated again. The caller holds `folder.lock()`, so that two
processes never write the same file.

    {"item": "7", "text": "", ..., "state": "error", "error": "image not found: images/AMBER_7.jpg"}
    {"item": "7", "text": "A dog runs.", "tokens": 5, "finish": "stop", "state": "ok", "error": null, "extra": {}}
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.folders.run import RunFolder
from halbench.plugins import source_line
from halbench.responses.thoughts import without_thoughts
from halbench.terminal.progress import progress
from halbench.types import Backend, Decoding, Item, Response


def generate(items: Sequence[Item], backend: Backend, decoding: Decoding, folder: RunFolder) -> list[Response]:
    """One response per item, in the order of `items`: those in the folder, and new ones for the rest.

    Raises InputError if the folder holds answers to other items. Exceptions of the backend pass through; the rows
    until then are on disk.
    """
    known = {item.id for item in items}
    if len(known) != len(items):
        raise ValueError("two items have the same id")
    # Opened for appending first, which cuts off a torn last line: it must not be read as an answer.
    with folder.appending(folder.responses_path) as writer:
        rows = latest(folder.read(Response, folder.responses_path))
        if foreign := next((id for id in rows if id not in known), None):
            raise InputError(
                f"{folder.responses_path}: contains a response to item '{foreign}', which is not one of the {len(items)} items "
                "of this run. Choose another --out, or remove the folder"
            )
        rest = by_image(item for item in items if item.id not in rows or rows[item.id].state == "error")
        errors = 0
        with progress("responses", len(items), len(items) - len(rest)) as steps:
            for response in answers(backend, rest, decoding):
                writer.write(response)
                rows[response.item] = response
                errors += response.state == "error"
                steps.advance(note=f"{errors} errors" if errors else "")
    return [rows[item.id] for item in items]


def latest(rows: Iterable[Response]) -> dict[str, Response]:
    """The last row of each item."""
    return {row.item: row for row in rows}


def by_image(items: Iterable[Item]) -> list[Item]:
    """The same items, grouped by their images, in order of first appearance."""
    groups: dict[tuple[Path, ...] | str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.images or item.id, []).append(item)
    return [item for group in groups.values() for item in group]


def answers(backend: Backend, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
    """A backend's responses as they come, then an error row for each item without one. Raises InputError, naming the line
    of the backend, for what is not a response to an item that still needs one."""
    waiting = dict.fromkeys(item.id for item in items)
    responses: Any = backend.generate(items, decoding) if items else ()
    if not isinstance(responses, Iterable):
        raise mistake(backend, responses, f"returned a {type(responses).__name__}; expected it to yield responses")
    for response in responses:
        if not isinstance(response, Response):
            kind = type(response).__name__
            raise mistake(backend, responses, f"yielded a {kind}; expected a halbench.types.Response")
        if response.item not in waiting:
            problem = f"answered item '{response.item}', which was not requested or has an answer already"
            raise mistake(backend, responses, f"{problem}; it yields one response per item")
        del waiting[response.item]
        answer = without_thoughts(response, decoding.reasoning)
        yield answer if answer is response else replace(answer, text=answer.text.strip())
    for id in waiting:
        yield Response(id, "", state="error", error="the backend gave no answer")


def mistake(backend: Backend, responses: Any, problem: str) -> InputError:
    """A backend's mistake, with the line of its generator, or of generate() if it returned something else."""
    where = source_line(responses if hasattr(responses, "gi_frame") else backend.generate)
    return InputError(f"{where}: generate() {problem}")
