"""Answers from a file: stored responses become a run folder, without a model.

    halbench run --backend replay --model answers.jsonl --suite amber

One JSON object per line: {"id": "1", "response": "A man ..."} or a row of a run folder's own responses.jsonl
({"item": "1", "text": "A man ...", "tokens": 9, ...}). A later row for an item replaces an earlier one.
An item that the file does not hold is answered by an error row.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.records import file_hash, from_row, read_jsonl
from halbench.types import Backend, BackendOptions, Decoding, Item, Response


def open_backend(model: str, options: BackendOptions) -> Backend:
    """The stored responses in the JSONL file `model`; the options say nothing to it."""
    path = Path(model)
    return ReplayBackend(path, {row.item: row for row in stored_responses(path)})


def stored_responses(path: Path) -> Iterator[Response]:
    """Rows of a responses file, in file order. Raises InputError with file:line for a row that cannot be read."""
    for line, row in read_jsonl(path):
        yield response_of(row, f"{path}:{line}")


def response_of(row: Mapping[str, Any], where: str) -> Response:
    """A Response from one row of either form."""
    if "item" in row:
        return from_row(Response, row, where)
    if "id" not in row or not isinstance(text := row.get("response", row.get("text")), str):
        raise InputError(f"{where}: expected the fields id (or item) and response (or text), found {', '.join(row)}")
    return Response(str(row["id"]), text.strip(), state="ok" if text.strip() else "empty")


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
                item.id, "", state="error", error=f"{self.path.name} holds no response to item '{item.id}'"
            )
            yield self.stored.get(item.id, missing)
