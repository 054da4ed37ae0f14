"""Response files as tests write them."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from halbench.responses.response_files import read_response_file
from halbench.types import ResponseRow


def written(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "answers.jsonl") -> Path:
    """A JSONL file, or a JSON list, with these rows."""
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows) if name.endswith("jsonl") else json.dumps(rows))
    return path


def row_of(response: str = "x", **fields: Any) -> ResponseRow:
    """The row that a file with this one response gives."""
    with tempfile.TemporaryDirectory() as folder:
        (row,) = read_response_file(written(Path(folder), [{**fields, "response": response}]))
    return row
