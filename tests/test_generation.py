"""The loop from items to responses.jsonl, and the replay backend."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from halbench.backends import replay
from halbench.errors import InputError
from halbench.generation import by_image, generate, progress_lines
from halbench.run_folder import RunFolder
from halbench.types import BackendOptions, Decoding, Item, Response

DECODING = Decoding(max_new_tokens=8)


def question(number: int, image: str = "a.jpg") -> Item:
    return Item(str(number), Path(image), f"Question {number}?", None, "all")


ITEMS = [question(number, image=f"{number // 3}.jpg") for number in range(9)]


class Echo:
    """Answers with the prompt, and remembers what it was asked."""

    def __init__(self, failing: Sequence[str] = (), stop_after: int | None = None) -> None:
        self.failing, self.stop_after = failing, stop_after
        self.asked: list[str] = []

    def identity(self) -> dict[str, str]:
        return {"backend": "echo"}

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        for item in items:
            if len(self.asked) == self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(item.id)
            if item.id in self.failing:
                yield Response(item.id, "", state="error", error="image not found: x")
            else:
                yield Response(item.id, item.prompt, 3, "stop")


class Scripted(Echo):
    """Yields the given item ids, whatever it is asked."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__()
        self.ids = ids

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        for id in self.ids:
            yield Response(id, "text")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def silent(total: int, finished: int) -> nullcontext:
    return nullcontext(lambda response: None)


def run(items: Sequence[Item], backend: Echo, folder: RunFolder) -> list[Response]:
    return generate(items, backend, DECODING, folder, silent)


def test_every_item_is_answered_once_and_in_the_order_of_the_items(folder):
    assert [row.text for row in run(ITEMS, Echo(), folder)] == [item.prompt for item in ITEMS]
    assert folder.read(Response, folder.responses_path) == run(ITEMS, Echo(), folder)


def test_questions_on_one_image_reach_the_backend_together():
    mixed = [question(1, "a"), question(2, "b"), question(3, "a"), question(4, "c"), question(5, "b")]
    assert [item.id for item in by_image(mixed)] == ["1", "3", "2", "5", "4"]


def test_an_interrupted_run_goes_on_where_it_stopped_and_asks_nothing_twice(folder, tmp_path):
    first, second = Echo(stop_after=4), Echo()
    with pytest.raises(KeyboardInterrupt):
        run(ITEMS, first, folder)
    resumed = run(ITEMS, second, folder)
    assert sorted(first.asked + second.asked) == [item.id for item in ITEMS]
    (tmp_path / "other").mkdir()
    assert resumed == run(ITEMS, Echo(), RunFolder(tmp_path / "other"))


def test_a_complete_run_asks_nothing_at_all(folder):
    run(ITEMS, Echo(), folder)
    again = Echo()
    run(ITEMS, again, folder)
    assert again.asked == []


def test_an_item_that_failed_is_asked_again_and_its_last_row_counts(folder):
    assert [row.state for row in run(ITEMS[:3], Echo(failing=["1"]), folder)] == ["ok", "error", "ok"]
    again = Echo()
    assert [row.state for row in run(ITEMS[:3], again, folder)] == ["ok", "ok", "ok"]
    assert again.asked == ["1"]
    assert [row.item for row in folder.read(Response, folder.responses_path)] == ["0", "1", "2", "1"]


@pytest.mark.parametrize("cut", [1, 2, 20], ids=["only its newline", "a brace and its newline", "half of it"])
def test_a_last_line_that_a_kill_cut_short_is_asked_again(folder, cut):
    whole = run(ITEMS, Echo(), folder)
    folder.responses_path.write_bytes(folder.responses_path.read_bytes()[:-cut])
    again = Echo()
    assert run(ITEMS, again, folder) == whole
    assert again.asked == ["8"]
    assert folder.read(Response, folder.responses_path) == whole


def test_an_item_that_the_backend_leaves_out_becomes_an_error_row(folder):
    rows = run(ITEMS[:3], Scripted(["0", "2"]), folder)
    assert [row.state for row in rows] == ["ok", "error", "ok"]
    assert rows[1].error == "the backend gave no answer"


@pytest.mark.parametrize("ids", [["0", "9"], ["0", "0"]], ids=["an unknown item", "an item twice"])
def test_a_backend_that_answers_what_was_not_asked_is_a_bug(folder, ids):
    with pytest.raises(RuntimeError, match=f"item '{ids[1]}'"):
        run(ITEMS[:2], Scripted(ids), folder)


def test_a_folder_with_responses_to_other_items_is_refused(folder):
    run(ITEMS, Echo(), folder)
    with pytest.raises(InputError, match=r"responses\.jsonl: holds a response to item '3'"):
        run(ITEMS[:3], Echo(), folder)


def test_two_items_with_one_id_are_a_bug_of_the_suite(folder):
    with pytest.raises(ValueError, match="same id"):
        run([question(1), question(1)], Echo(), folder)


def test_log_files_get_a_line_at_the_end_with_the_number_of_errors(folder, capsys):
    generate(ITEMS, Echo(failing=["4"]), DECODING, folder, progress_lines)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("halbench: 9 of 9 responses, 1 errors, ")


SLOW_RUN = """
import sys, time
from pathlib import Path
from halbench.backends import replay
from halbench.generation import generate
from halbench.run_folder import RunFolder
from halbench.types import BackendOptions, Decoding, Item

class Slow:
    def __init__(self, backend): self.backend = backend
    def generate(self, items, decoding):
        for row in self.backend.generate(items, decoding):
            time.sleep(0.01)
            yield row

answers, folder = map(Path, sys.argv[1:])
items = [Item(str(n), Path("a.jpg"), "?", None, "all") for n in range(500)]
generate(items, Slow(replay.open_backend(str(answers), BackendOptions())), Decoding(8), RunFolder(folder))
"""


def test_a_killed_run_goes_on_where_it_stopped(folder, tmp_path):
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": n, "response": f"Answer {n}."}) + "\n" for n in range(500)))
    process = subprocess.Popen([sys.executable, "-c", SLOW_RUN, answers, folder.path], stderr=subprocess.DEVNULL)
    while not (folder.responses_path.is_file() and folder.responses_path.stat().st_size > 2000):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = folder.read(Response, folder.responses_path)
    assert 0 < len(before) < 500

    items = [Item(str(n), Path("a.jpg"), "?", None, "all") for n in range(500)]
    backend = replay.open_backend(str(answers), BackendOptions())
    resumed = generate(items, backend, DECODING, folder, silent)
    (tmp_path / "other").mkdir()
    assert resumed == generate(items, backend, DECODING, RunFolder(tmp_path / "other"), silent)
    assert [row.item for row in folder.read(Response, folder.responses_path)] == [item.id for item in items]


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
    assert list(backend.generate([question(number) for number in range(5)], DECODING)) == [
        Response("0", " A dog. "),
        Response("1", "", state="empty"),
        Response("2", "Yes", 2, "stop", extra={"x": 1}),
        Response("3", "", state="error", error="image not found: 3.jpg"),
        Response("4", "", state="error", error="answers.jsonl holds no response to item '4'"),
    ]


def test_replay_knows_its_file_by_its_content(tmp_path):
    one = replayed(tmp_path, {"id": 0, "response": "A dog."}).identity()
    other = replayed(tmp_path, {"id": 0, "response": "A cat."}).identity()
    assert one["model"] == other["model"] == "answers.jsonl"
    assert one["fingerprint"] != other["fingerprint"]


def test_replay_names_the_line_that_it_cannot_read(tmp_path):
    with pytest.raises(InputError, match=r"answers\.jsonl: row 2 has no id"):
        replayed(tmp_path, {"id": 0, "response": "A dog."}, {"image": "1.jpg", "response": "A cat."})
