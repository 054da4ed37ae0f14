"""The replay backend: stored responses instead of a model."""

import json
from pathlib import Path

import pytest

from halbench.backends import replay
from halbench.errors import InputError
from halbench.types import BackendOptions, Decoding, Item, Response


def replayed(tmp_path: Path, *rows: object) -> replay.ReplayBackend:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return replay.open_backend(str(path), BackendOptions())


def test_replay_reads_plain_rows_and_rows_of_a_run_folder(tmp_path):
    backend = replayed(
        tmp_path,
        {"id": 0, "response": " A dog. "},
        {"id": "1", "text": ""},
        {"item": "2", "text": "Yes", "tokens": 2, "finish": "stop", "state": "ok", "error": None, "extra": {"x": 1}},
        {"item": "3", "text": "", "state": "error", "error": "image not found: 3.jpg"},
    )
    assert list(
        backend.generate([Item(str(number), (), "?", None, "all") for number in range(5)], Decoding(max_new_tokens=8))
    ) == [
        Response("0", " A dog. "),
        Response("1", "", state="empty"),
        Response("2", "Yes", 2, "stop", extra={"x": 1}),
        Response("3", "", state="error", error="image not found: 3.jpg"),
        Response("4", "", state="error", error="answers.jsonl has no response to item '4'"),
    ]


def test_replay_knows_its_file_by_its_content(tmp_path):
    one = replayed(tmp_path, {"id": 0, "response": "A dog."}).identity()
    other = replayed(tmp_path, {"id": 0, "response": "A cat."}).identity()
    assert one["model"] == other["model"] == "answers.jsonl"
    assert one["fingerprint"] != other["fingerprint"]


def test_replay_names_the_line_that_it_cannot_read(tmp_path):
    with pytest.raises(InputError, match=r"answers\.jsonl: row 2 has no id"):
        replayed(tmp_path, {"id": 0, "response": "A dog."}, {"image": "1.jpg", "response": "A cat."})


def test_replay_answers_any_number_of_images(tmp_path):
    backend = replayed(tmp_path, *({"id": n, "response": f"Answer {n}."} for n in range(3)))
    items = [Item(str(n), tuple(Path(f"{i}.jpg") for i in range(n)), "?", None, "all") for n in range(3)]
    assert [row.text for row in backend.generate(items, Decoding(8))] == ["Answer 0.", "Answer 1.", "Answer 2."]
