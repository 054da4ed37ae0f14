"""The examples of docs/extending.md and docs/training.md, run as they are printed."""

import json
import random  # noqa: F401 a test gives a user's file the same name
import sys
from pathlib import Path

import pytest
import small_training
from doc_examples import example
from PIL import Image

from baselines.training import train
from halbench.comparing.comparison import compare
from halbench.errors import InputError
from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.evaluate import Evaluation
from halbench.evaluation.score import score_stored
from halbench.evaluation.suites import load_suite
from halbench.files.records import read_json, write_json


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with the suite and the backend of the docs, and four questions on two photographs."""
    (tmp_path / "my_suite.py").write_text(example("extending.md"))
    (tmp_path / "my_backend.py").write_text(example("extending.md", 1))
    rows = []
    for image in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / image)
        rows += [
            {
                "id": f"{image}/{kind}",
                "image": image,
                "question": f"Is there {kind}?",
                "answer": answer,
                "kind": kind,
                "pair": image,
            }
            for kind, answer in (("text", "yes"), ("shape", "no"))
        ]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_parrot(halbench, out: str) -> None:
    done = halbench(
        "run", "--backend", "my_backend.py", "--model", "Yes, there is.", "--suite", "my_suite.py", "--out", out
    )
    assert done.returncode == 0, done.stderr


def scored() -> Evaluation:
    return score_stored(SuiteChoice(suite="my_suite.py"), Path("a"))


def test_a_suite_and_a_backend_of_ones_own_are_run_scored_compared_and_reported(own, halbench, tmp_path_factory):
    run_parrot(halbench, "a")
    values = {(row["group"], row["metric"]): row["value"] for row in read_json(own / "a/results.json")}
    assert values == {
        ("all", "accuracy"): 0.5,
        ("all", "pair_accuracy"): 0.0,
        ("all", "yes_ratio"): 1.0,
        ("all", "unread"): 0.0,
        ("text", "accuracy"): 1.0,
        ("shape", "accuracy"): 0.0,
    }
    suite = ("--suite", own / "my_suite.py")
    again = halbench("score", "--responses", "a", "--out", "b", *suite)
    assert (again.returncode, read_json(own / "b/results.json")) == (0, read_json(own / "a/results.json"))
    assert halbench("gate", "a", "--baseline", "b", *suite).returncode == 3  # four questions show little
    (own / "margins.yaml").write_text("accuracy: 0.99\npair_accuracy: 0.99\n")
    assert halbench("gate", "a", "--baseline", "b", "--margins", "margins.yaml", *suite).returncode == 0
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert halbench("compare", own / "a", own / "b", *suite, cwd=elsewhere).returncode == 0
    assert halbench("report", "leaderboard", own / "a", "--out", elsewhere / "report").returncode == 0
    assert "signs" in (elsewhere / "report/leaderboard.html").read_text()
    shown = halbench("view", own / "a", "--no-open", "--out", elsewhere / "view.html", *suite, cwd=own)
    assert (shown.returncode, "Is there text?" in (elsewhere / "view.html").read_text()) == (0, True)


def test_what_a_run_folder_names_is_never_run_as_code(own, halbench):
    run_parrot(halbench, "a")
    (own / "a/signs.py").write_text("raise SystemExit('ran')")
    manifest = read_json(own / "a/manifest.json")
    for name in ("signs", "a/signs.py", str(own / "a/signs.py")):
        manifest["settings"]["suite"]["name"] = name
        write_json(own / "a/manifest.json", manifest)
        message = "name its file with --suite FILE"
        with pytest.raises(InputError, match=message):
            score_stored(SuiteChoice(), own / "a")
        with pytest.raises(InputError, match=message):
            compare(own / "a", own / "a")
    done = halbench("view", "a", "--no-open")
    assert (done.returncode, "ran" in done.stderr) == (0, False)


def test_new_formulas_are_not_laid_over_old_counts(own, halbench):
    run_parrot(halbench, "a")
    (own / "my_suite.py").write_text(
        example("extending.md").replace('"correct", "questions"', '"questions", "correct"')
    )
    done = halbench("compare", "a", "a", "--suite", "my_suite.py")
    assert done.returncode == 2
    assert "score both again" in done.stderr


def test_a_user_s_file_may_be_called_like_any_module(own):
    (own / "random.py").write_text(example("extending.md"))
    assert load_suite("random.py").name == "signs"
    assert not hasattr(sys.modules["random"], "SUITE")


def test_a_changed_suite_file_is_another_signature(own, halbench):
    run_parrot(halbench, "a")
    before = scored()
    (own / "my_suite.py").write_text(example("extending.md").replace("read_lenient", "read_llava"))
    after = scored()
    assert before.fields["version"] != after.fields["version"]
    assert {**before.fields, "version": ""} == {**after.fields, "version": ""}


@pytest.mark.parametrize("number", [0, 1], ids=["with a reference", "SimPO"])
def test_the_objectives_of_the_docs_train(number, tmp_path):
    # the second example changes functions of the first
    source = "\n".join(example("training.md", each) for each in range(number + 1))
    (tmp_path / "my_objective.py").write_text(source)
    model = small_training.checkpoint(tmp_path / "model")
    pairs = small_training.write_pairs(tmp_path / "pairs")
    record = train.train(small_training.plan(str(tmp_path / "my_objective.py"), model, pairs, tmp_path / "out"))
    assert record["status"] == "complete"
    assert record["settings"]["objective"]["name"] == "my_objective"
