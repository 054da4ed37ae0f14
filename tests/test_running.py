"""`halbench run` and `generate` from a checkpoint to results: real tiny model, real photographs, kills and resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_checkpoints import llava

from halbench.errors import InputError
from halbench.running import with_arguments
from halbench.types import Decoding

pytestmark = pytest.mark.slow  # each test starts several processes that load torch


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
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
    arguments += ["--gen-kwargs", "max_new_tokens=60", "--batch-size", "1"]
    found = subprocess.run(
        [sys.executable, "-m", "halbench", *arguments, "--out", str(folder / "run")], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return folder / "run", arguments


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


def test_a_run_killed_half_way_goes_on_and_ends_like_an_undisturbed_one(undisturbed, tmp_path):
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


def test_the_same_folder_with_other_settings_is_refused(undisturbed, halbench):
    run, arguments = undisturbed
    found = halbench(*arguments[:-4], "--gen-kwargs", "max_new_tokens=50", "--out", run)
    assert found.returncode == 2
    assert "decoding.max_new_tokens: 60 there, 50 here" in found.stderr


def test_generate_is_the_first_half_and_run_finishes_it(checkpoint, data, halbench, tmp_path):
    arguments = ["--model", checkpoint, "--suite", "chair", "--set", f"images={data.root / 'images'}"]
    arguments += ["--limit", "4", "--gen-kwargs", "max_new_tokens=8", "--out", "run"]
    first = halbench("generate", *arguments)
    assert first.returncode == 0, first.stderr
    assert json.loads((tmp_path / "run/manifest.json").read_text())["status"] == "generated"
    answers = (tmp_path / "run/responses.jsonl").read_text()
    second = halbench("run", *arguments, "--json")
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["coverage"]["scored"] == 4
    assert (tmp_path / "run/responses.jsonl").read_text() == answers


def test_missing_images_are_error_rows_and_the_run_says_that_it_is_incomplete(checkpoint, data, halbench, tmp_path):
    found = halbench(
        "run", "--model", checkpoint, "--suite", "mmhal", "--gen-kwargs", "max_new_tokens=4", "--out", "run"
    )
    assert found.returncode == 2
    assert "INCOMPLETE: 0 of 96 items scored (74 failed in generation, 22 without a verdict)" in found.stderr
    states = [row["state"] for row in rows(tmp_path / "run/responses.jsonl")]
    assert states.count("error") == 74
    assert json.loads((tmp_path / "run/manifest.json").read_text())["status"] == "incomplete"


def test_no_image_at_all_is_said_before_a_model_is_loaded(data, halbench):
    found = halbench("run", "--model", "nowhere", "--suite", "amber", "--images", "nowhere")
    assert found.returncode == 2
    assert "none of the 15220 images of amber is there" in found.stderr


def test_stored_answers_become_a_run_through_the_replay_backend(data, halbench, tmp_path):
    answers = json.loads((data.root / "responses/amber/gen_precise_s1.json").read_text())
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    found = halbench(
        "run",
        "--backend",
        "replay",
        "--model",
        "answers.jsonl",
        "--suite",
        "amber",
        "--set",
        "part=generative",
        "--out",
        "run",
        "--json",
    )
    assert found.returncode == 0, found.stderr
    assert {row["name"]: row["official"] for row in json.loads(found.stdout)["metrics"]} == {
        "chair": 9.2,
        "cover": 57.8,
        "hal": 33.0,
        "cog": 5.8,
    }


def test_gen_kwargs_go_over_the_suite_s_decoding():
    assert with_arguments(Decoding(512), "max_new_tokens=64,num_beams=3,top_k=5") == Decoding(64, 3, extra={"top_k": 5})
    for wrong in ("max_new_tokens=0", "num_beams=2.5", "temperature=-1", "max_new_tokens=many"):
        with pytest.raises(InputError, match="expected a"):
            with_arguments(Decoding(512), wrong)


def test_a_judge_that_cannot_be_asked_is_told_before_anything_is_generated(halbench, data, monkeypatch):
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
