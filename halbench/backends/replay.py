"""Answers from a file: stored responses become a run folder, without a model.

    halbench run --backend replay --model answers.jsonl --suite amber

One JSON object per line: {"id": "1", "response": "A man ..."} or a row of a run folder's own responses.jsonl
({"item": "1", "text": "A man ...", "tokens": 9, ...}). A later row for an item replaces an earlier one.
An item without a response in the file gets an error row.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from halbench.errors import InputError
from halbench.files.records import file_hash
from halbench.responses.response_files import read_response_file, responses_of
from halbench.types import Backend, BackendOptions, Decoding, Item, Response


def open_backend(model: str, options: BackendOptions) -> Backend:
    """The stored responses in the JSONL file `model`; the options have no effect."""
    path = Path(model)
    return ReplayBackend(path, {row.item: row for row in stored_responses(path)})


def stored_responses(path: Path) -> list[Response]:
    """The responses of a file whose rows have item ids. Raises InputError naming the first row without one."""
    rows = read_response_file(path)
    unnamed = next((row for row in rows if row.id is None), None)
    if unnamed is not None:
        raise InputError(
            f"{path}: row {unnamed.line} has no id; the replay backend finds answers by the suite's item ids"
        )
    return responses_of(rows, [str(row.id) for row in rows])


class ReplayBackend:
    """types.Backend over a file."""

    def __init__(self, path: Path, stored: Mapping[str, Response]) -> None:
        self.path = path
        self.stored = stored

    def identity(self) -> dict[str, str]:
        return {"backend": "replay", "model": self.path.name, "fingerprint": file_hash(self.path, 16)}

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        for item in items:
            missing = Response(
                item.id, "", state="error", error=f"{self.path.name} has no response to item '{item.id}'"
            )
            yield self.stored.get(item.id, missing)
