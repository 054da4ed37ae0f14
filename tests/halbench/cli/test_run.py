"""`halbench run` and `generate` from a checkpoint, a server or a user's own backend to results; kills and resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from judge_server import JudgeServer, failure, reply
from PIL import Image

from halbench.files.records import read_json

KEY = "sk-very-secret-123"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from tiny_checkpoints import llava

    return llava(tmp_path_factory.mktemp("checkpoint"))


def rows(path: Path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def texts(run: Path):
    return {row["item"]: row["text"] for row in rows(run / "responses.jsonl")}


@pytest.fixture(scope="module")
def undisturbed(checkpoint, data, tmp_path_factory):
    """A finished run of the 25 photographs, and the arguments that made it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    arguments = ["run", "--model", str(checkpoint), "--suite", "chair", "--set", f"images={data.root / 'images'}"]
    arguments += ["--allow", "cut", "--gen-kwargs", "max_new_tokens=60", "--batch-size", "1"]
    command = [sys.executable, "-m", "halbench", *arguments, "--out", str(folder / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "run", arguments


@pytest.mark.slow
def test_a_run_folder_holds_every_answer_with_its_counts_and_evidence(undisturbed):
    run, _ = undisturbed
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["settings"]["model"]["backend"] == "hf"
    assert len(rows(run / "responses.jsonl")) == len(rows(run / "scores.jsonl")) == 25
    assert {"mentions", "hallucinated", "truth"} <= rows(run / "scores.jsonl")[0]["evidence"].keys()
    assert {row["metric"] for row in json.loads((run / "results.json").read_text())} == {
        "chair_s",
        "chair_i",
        "recall",
        "length",
    }


@pytest.mark.slow
def test_a_run_killed_midway_resumes_and_ends_like_an_uninterrupted_one(undisturbed, tmp_path):
    whole, arguments = undisturbed
    command = [sys.executable, "-m", "halbench", *arguments, "--out", str(tmp_path / "run")]
    answers = tmp_path / "run/responses.jsonl"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (answers.is_file() and answers.read_text().count("\n") >= 3):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = answers.read_text().rpartition("\n")[0].splitlines()
    assert 3 <= len(before) < 25, "the run was to be killed half-way"
    assert json.loads((tmp_path / "run/manifest.json").read_text())["status"] == "running"

    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert answers.read_text().splitlines()[: len(before)] == before, "a finished row was written anew"
    assert len(answers.read_text().splitlines()) == 25
    assert texts(tmp_path / "run") == texts(whole)
    assert (tmp_path / "run/results.json").read_text() == (whole / "results.json").read_text()


@pytest.mark.slow
def test_the_same_folder_with_other_settings_is_refused(undisturbed, halbench):
    run, arguments = undisturbed
    done = halbench(*arguments[:-4], "--gen-kwargs", "max_new_tokens=50", "--out", run)
    assert done.returncode == 2
    assert "decoding.max_new_tokens: 60 (recorded), 50 (requested)" in done.stderr


@pytest.mark.slow
def test_generate_only_generates_and_run_finishes_it(checkpoint, data, halbench, tmp_path):
    arguments = ["--model", checkpoint, "--suite", "chair", "--set", f"images={data.root / 'images'}"]
    arguments += ["--limit", "4", "--gen-kwargs", "max_new_tokens=8", "--out", "run"]
    first = halbench("generate", *arguments)
    assert first.returncode == 0, first.stderr
    assert json.loads((tmp_path / "run/manifest.json").read_text())["status"] == "generated"
    answers = (tmp_path / "run/responses.jsonl").read_text()
    second = halbench("run", *arguments)
    assert (second.returncode, "4 cut off at the token limit (more than 1 %" in second.stderr) == (2, True)
    second = halbench("run", *arguments, "--allow", "cut", "--json")
    assert second.returncode == 0, second.stderr
    counted = json.loads(second.stdout)["coverage"]
    assert (counted["scored"], counted["cut"], counted["allowed"]) == (4, 4, ["cut"])
    assert (tmp_path / "run/responses.jsonl").read_text() == answers


@pytest.mark.slow
def test_missing_images_are_error_rows_and_the_run_says_that_it_is_incomplete(checkpoint, data, halbench, tmp_path):
    done = halbench(
        "run", "--model", checkpoint, "--suite", "mmhal", "--gen-kwargs", "max_new_tokens=4", "--out", "run"
    )
    assert done.returncode == 2
    assert "INCOMPLETE: 0 of 96 items scored (74 failed in generation, 22 not scorable)" in done.stderr
    states = [row["state"] for row in rows(tmp_path / "run/responses.jsonl")]
    assert states.count("error") == 74
    assert json.loads((tmp_path / "run/manifest.json").read_text())["status"] == "incomplete"


def test_no_image_at_all_is_an_error_before_a_model_is_loaded(data, halbench):
    done = halbench("run", "--model", "nowhere", "--suite", "amber", "--images", "nowhere")
    assert done.returncode == 2
    assert "none of the 1004 images of amber exists" in done.stderr


def test_stored_answers_become_a_run_through_the_replay_backend(data, halbench, tmp_path):
    answers = json.loads((data.root / "responses/amber/gen_precise_s1.json").read_text())
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    arguments = ("--backend", "replay", "--model", "answers.jsonl", "--suite", "amber", "--set", "part=generative")
    done = halbench("run", *arguments, "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    official = {row["name"]: row["official"] for row in json.loads(done.stdout)["metrics"]}
    assert official == {"chair": 9.2, "cover": 57.8, "hal": 33.0, "cog": 5.8, "length": None}


def test_an_unusable_judge_is_an_error_before_anything_is_generated(halbench, data, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("HALBENCH_JUDGE_API_KEY", raising=False)
    done = halbench(
        "run", "--model", "scenes:base", "--suite", "mmhal", "--judge", "gpt-4o", "--out", "r", "--data", data.root
    )
    assert done.returncode == 2
    assert "needs a key" in done.stderr
    without = halbench(
        "run", "--model", "scenes:base", "--suite", "mmhal", "--judge-base-url", "http://x/v1", "--out", "r"
    )
    assert without.returncode == 2
    assert without.stderr.strip() == "halbench: --judge-base-url is given without --judge MODEL"


@pytest.mark.slow
def test_a_command_that_fails_before_its_first_answer_leaves_no_folder(halbench, tmp_path):
    pytest.importorskip("torch")
    done = halbench("run", "--model", "./ckpt/", "--suite", "scenes", "--set", "scenes=2", "--data", tmp_path / "data")
    assert done.returncode == 2
    assert not any((tmp_path / "runs").glob("*"))


@pytest.mark.slow
def test_a_damaged_answer_is_named_and_the_finished_run_stays_finished(halbench, tmp_path):
    pytest.importorskip("torch")
    command = ("run", "--model", "scenes:base", "--suite", "scenes", "--set", "scenes=2")
    command = (*command, "--data", tmp_path / "data", "--out", "a")
    assert halbench(*command).returncode == 0
    responses = tmp_path / "a/responses.jsonl"
    whole = responses.read_text().splitlines()
    responses.write_text("\n".join([whole[0], whole[1][:20], *whole[2:]]) + "\n")
    done = halbench(*command)
    assert (done.returncode, "responses.jsonl:2" in done.stderr) == (2, True)
    assert "Remove that line, and its item is generated again" in done.stderr
    assert read_json(tmp_path / "a/manifest.json")["status"] == "complete"
    responses.write_text("\n".join([whole[0], *whole[2:]]) + "\n")
    assert halbench(*command).returncode == 0
    assert sorted(responses.read_text().splitlines()) == sorted(whole)


@pytest.fixture
def own(tmp_path):
    """A suite of one's own with two questions, one of them without an image."""
    (tmp_path / "suite.py").write_text(SUITE)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    return tmp_path


SUITE = """
from dataclasses import dataclass
from pathlib import Path

from halbench.types import Decoding, Item, Metric, Score, Suite, Task


@dataclass(frozen=True)
class Options:
    pass


def load(data, options, rows):
    items = [Item("1", (Path("a.png"),), "Is it?", "yes", "all"), Item("2", (), "Is it not?", "no", "all")]
    return Task(items, lambda item, response, _: Score.of(item, {"right": response.text == item.truth, "asked": 1}), {})


right = Metric("right", lambda counts: counts["right"] / counts["asked"], "higher", ratio=("right", "asked"), main=("all",))
SUITE = Suite("own", "1", "Own", Options, Decoding(8), (right,), {"all": ("all",)}, load, lambda items, rows: [])
"""
MINE = """
from halbench.types import Response

class Mine:
    def identity(self):
        return {"model": "mine"}

    def generate(self, items, decoding):
        for item in items:
            GENERATE

def open_backend(model, options):
    return Mine()
"""


def run_own(halbench, own, code, *arguments):
    (own / "mine.py").write_text(code)
    return halbench("run", "--backend", "mine.py", "--model", "m", "--suite", "suite.py", "--out", "run", *arguments)


def test_a_backend_of_ones_own_answers_questions_with_and_without_an_image(halbench, own):
    generate = "yield Response(item.id, 'yes' if len(item.images) else 'no')"
    done = run_own(halbench, own, MINE.replace("GENERATE", generate))
    assert done.returncode == 0, done.stderr
    (result,) = read_json(own / "run/results.json")
    assert (result["value"], result["n"]) == (1.0, 2)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        pytest.param(MINE.replace("GENERATE", "yield item.text"), "mine.py:10: AttributeError: 'Item' object", id="attribute"),
        pytest.param(MINE.replace("GENERATE", "yield item.prompt"), "mine.py:10: generate() yielded a str; expected", id="str"),
        pytest.param(MINE.replace("GENERATE", "pass"), "mine.py:8: generate() returned a NoneType; expected", id="None"),
        pytest.param(
            MINE.replace("GENERATE", "yield Response(item.prompt, 'yes')"),
            "mine.py:10: generate() answered item 'Is it?', which was not requested",
            id="foreign item",
        ),
        pytest.param(MINE.replace("open_backend", "opened"), "mine.py: does not define open_backend", id="no open_backend"),
        pytest.param(MINE.replace("Mine()", "Mine(model)"), "mine.py:13: TypeError: Mine() takes no arguments", id="opening"),
        pytest.param(MINE.replace('"mine"', "3"), "mine.py:5: identity() returned {'model': 3}; expected", id="identity"),
        pytest.param(MINE.replace("import Response", "import Respond"), "mine.py:2: ImportError: cannot import", id="import"),
        pytest.param(MINE.replace("GENERATE", "yield ("), "mine.py:10: not valid Python", id="syntax"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_backend_of_ones_own_is_one_line_with_file_and_line(halbench, own, code, line):
    done = run_own(halbench, own, code)
    assert (done.returncode, done.stdout) == (2, "")
    message = [text for text in done.stderr.splitlines() if not text.startswith("halbench: responses: ")]
    assert len(message) == 1, done.stderr
    assert line in message[0]
    assert "bug in halbench" not in done.stderr


ENDED = """if Path("end").is_file() and item.id == "2":
                Path("end").unlink()
                os.kill(os.getpid(), signal.SIGNAL)
            yield Response(item.id, "yes" if len(item.images) else "no")"""


@pytest.mark.parametrize("verb", ["run", "generate"])
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_keeps_the_rows_and_says_how_to_resume(halbench, own, verb, name, code):
    generate = ENDED.replace("SIGNAL", name)
    (own / "mine.py").write_text("import os, signal\nfrom pathlib import Path\n" + MINE.replace("GENERATE", generate))
    (own / "end").write_text("")
    command = (verb, "--backend", "mine.py", "--model", "m", "--suite", "suite.py", "--out", "run")
    ended = halbench(*command)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.splitlines()[-1] == "halbench: interrupted; repeat the command to resume"
    assert [row["item"] for row in rows(own / "run/responses.jsonl")] == ["1"]
    assert halbench(*command).returncode == 0
    assert [row["item"] for row in rows(own / "run/responses.jsonl")] == ["1", "2"]


def test_a_served_run_stores_no_key(halbench, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    arguments = ["run", "--backend", "openai", "--model", "m", "--suite", "scenes", "--set", "scenes=2", "--limit", "6"]
    arguments += ["--out", "run"]
    with JudgeServer(lambda prompt, _: reply("Yes" if "?" in prompt else "A red car.")) as server:
        done = halbench(*arguments, "--base-url", server.url, "--concurrency", "3")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert (manifest["status"], manifest["served_models"]) == ("complete", ["m"])
    assert manifest["settings"]["model"] == {"backend": "openai", "model": "m", "seed": "0"}
    assert len(server.requests) == 6
    assert not any(KEY in path.read_text() for path in (tmp_path / "run").iterdir())


def test_a_wrong_model_name_is_one_line(halbench):
    arguments = [
        "run",
        "--backend",
        "openai",
        "--model",
        "m",
        "--suite",
        "scenes",
        "--set",
        "scenes=10",
        "--limit",
        "60",
    ]
    arguments += ["--out", "run"]
    with JudgeServer(lambda *_: failure(404, "no model m.")) as server:
        done = halbench(*arguments, "--base-url", server.url, "--concurrency", "16")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"halbench: model 'm' at {server.url} was not found (404: no model m). Check the model's name, and that the address "
        "ends in /v1\n"
    )
