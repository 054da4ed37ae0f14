"""The loop from items to responses.jsonl: resuming, errors, and backends that do not keep to their contract."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from halbench.backends import replay
from halbench.errors import InputError
from halbench.folders.run import RunFolder
from halbench.running.generation import by_image, generate
from halbench.types import BackendOptions, Decoding, Item, Response

DECODING = Decoding(max_new_tokens=8)


def question(number: int, image: str = "a.jpg") -> Item:
    return Item(str(number), (Path(image),), f"Question {number}?", None, "all")


ITEMS = [question(number, image=f"{number // 3}.jpg") for number in range(9)]


class Echo:
    """Answers with the prompt. asked: ids of the items that it got, in order."""

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


def run(items: Sequence[Item], backend: Echo, folder: RunFolder) -> list[Response]:
    return generate(items, backend, DECODING, folder)


def test_every_item_is_answered_once_and_in_the_order_of_the_items(folder):
    assert [row.text for row in run(ITEMS, Echo(), folder)] == [item.prompt for item in ITEMS]
    assert folder.read(Response, folder.responses_path) == run(ITEMS, Echo(), folder)


def test_questions_on_one_image_reach_the_backend_together():
    mixed = [question(1, "a"), question(2, "b"), question(3, "a"), question(4, "c"), question(5, "b")]
    assert [item.id for item in by_image(mixed)] == ["1", "3", "2", "5", "4"]


def test_an_interrupted_run_resumes_and_asks_nothing_twice(folder, tmp_path):
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


def test_a_failed_item_is_retried_and_its_last_row_counts(folder):
    assert [row.state for row in run(ITEMS[:3], Echo(failing=["1"]), folder)] == ["ok", "error", "ok"]
    again = Echo()
    assert [row.state for row in run(ITEMS[:3], again, folder)] == ["ok", "ok", "ok"]
    assert again.asked == ["1"]
    assert [row.item for row in folder.read(Response, folder.responses_path)] == ["0", "1", "2", "1"]


@pytest.mark.parametrize("cut", [1, 2, 20], ids=["only its newline", "a brace and its newline", "half of it"])
def test_a_last_line_truncated_by_a_kill_is_generated_again(folder, cut):
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
def test_the_error_for_an_unknown_item_names_the_backend_s_file_and_line(folder, ids):
    line = next(
        n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if 'Response(id, "text")' in line
    )
    with pytest.raises(InputError, match=rf"test_generation\.py:{line}: generate\(\) answered item '{ids[1]}'"):
        run(ITEMS[:2], Scripted(ids), folder)
    assert [row.item for row in folder.read(Response, folder.responses_path)] == ["0"]


def test_a_backend_may_return_a_list(folder):
    class Listed(Echo):
        def generate(self, items: Sequence[Item], decoding: Decoding) -> list[Response]:
            return [Response(item.id, "text") for item in items]

    assert [row.text for row in run(ITEMS, Listed(), folder)] == ["text"] * 9


def test_a_folder_with_responses_to_other_items_is_refused(folder):
    run(ITEMS, Echo(), folder)
    with pytest.raises(
        InputError, match=r"responses\.jsonl: contains a response to item '3', which is not one of the 3 items"
    ):
        run(ITEMS[:3], Echo(), folder)


def test_two_items_with_one_id_are_a_bug_of_the_suite(folder):
    with pytest.raises(ValueError, match="same id"):
        run([question(1), question(1)], Echo(), folder)


def test_log_files_get_a_line_at_the_end_with_the_number_of_errors(folder, capsys):
    run(ITEMS, Echo(failing=["4"]), folder)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("halbench: responses: 9 of 9, ")
    assert line.endswith(", 1 errors")


def test_each_row_is_on_disk_before_the_next_one_is_generated(folder):
    class Watching(Echo):
        def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
            for number, item in enumerate(items):
                assert folder.responses_path.read_bytes().count(b"\n") == number
                yield Response(item.id, "text")

    assert len(run(ITEMS, Watching(), folder)) == 9


@pytest.mark.parametrize("shown", [(), ("a.jpg", "b.jpg")], ids=["no image", "two images"])
def test_questions_on_the_same_images_stay_together_and_imageless_ones_in_their_order(shown):
    images = tuple(map(Path, shown))
    mixed = [
        question(1, "a.jpg"),
        Item("2", images, "?", None, "all"),
        question(3, "a.jpg"),
        Item("4", images, "?", None, "all"),
    ]
    assert [item.id for item in by_image(mixed)] == ["1", "3", "2", "4"]


SLOW_RUN = """
import sys, time
from pathlib import Path
from halbench.backends import replay
from halbench.running.generation import generate
from halbench.folders.run import RunFolder
from halbench.types import BackendOptions, Decoding, Item

class Slow:
    def __init__(self, backend): self.backend = backend
    def generate(self, items, decoding):
        for row in self.backend.generate(items, decoding):
            time.sleep(0.01)
            yield row

answers, folder = map(Path, sys.argv[1:])
items = [Item(str(n), (Path("a.jpg"),), "?", None, "all") for n in range(500)]
generate(items, Slow(replay.open_backend(str(answers), BackendOptions())), Decoding(8), RunFolder(folder))
"""


def test_a_killed_run_resumes(folder, tmp_path):
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

    items = [Item(str(n), (Path("a.jpg"),), "?", None, "all") for n in range(500)]
    backend = replay.open_backend(str(answers), BackendOptions())
    resumed = generate(items, backend, DECODING, folder)
    (tmp_path / "other").mkdir()
    assert resumed == generate(items, backend, DECODING, RunFolder(tmp_path / "other"))
    assert [row.item for row in folder.read(Response, folder.responses_path)] == [item.id for item in items]
