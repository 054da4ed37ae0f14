"""The examples of the docs are run as they stand there."""

import json
import random  # noqa: F401 a module of that name is there
import re
import sys
from pathlib import Path

import pytest
import small_training
from PIL import Image

from baselines import progress, trainer
from halbench.comparison import compare
from halbench.datasets import Data
from halbench.errors import InputError
from halbench.evaluation import load_suite, score_stored
from halbench.records import read_json, write_json

DOCS = Path(__file__).parents[1] / "docs"


def example(page: str, number: int = 0) -> str:
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)[number]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with the suite and the backend of the docs, and four questions on two photographs."""
    (tmp_path / "my_suite.py").write_text(example("extending.md"))
    (tmp_path / "my_backend.py").write_text(example("extending.md", 1))
    rows = []
    for image in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / image)
        rows += [
            {"id": f"{image}/{kind}", "image": image, "question": f"Is there {kind}?", "answer": answer, "kind": kind}
            for kind, answer in (("text", "yes"), ("shape", "no"))
        ]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_parrot(halbench, out: str) -> None:
    found = halbench(
        "run", "--backend", "my_backend.py", "--model", "Yes, there is.", "--suite", "my_suite.py", "--out", out
    )
    assert found.returncode == 0, found.stderr


def test_a_suite_and_a_backend_of_ones_own_are_run_scored_compared_and_reported(own, halbench, tmp_path_factory):
    run_parrot(halbench, "a")
    values = {(row["group"], row["metric"]): row["value"] for row in read_json(own / "a/results.json")}
    assert values == {
        ("all", "accuracy"): 0.5,
        ("all", "yes_ratio"): 1.0,
        ("text", "accuracy"): 1.0,
        ("shape", "accuracy"): 0.0,
    }
    suite = ("--suite", own / "my_suite.py")
    again = halbench("score", "--responses", "a", "--out", "b", *suite)
    assert (again.returncode, read_json(own / "b/results.json")) == (0, read_json(own / "a/results.json"))
    (own / "margins.yaml").write_text("accuracy: 0.02\n")
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
        told = "is none of halbench's own: name its file with --suite FILE"
        with pytest.raises(InputError, match=told):
            score_stored(None, [], Data(own), own / "a")
        with pytest.raises(InputError, match=told):
            compare(own / "a", own / "a")
    found = halbench("view", "a", "--no-open")
    assert (found.returncode, "ran" in found.stderr) == (0, False)


def test_new_formulas_are_not_laid_over_old_counts(own, halbench):
    run_parrot(halbench, "a")
    (own / "my_suite.py").write_text(
        example("extending.md").replace('"correct", "questions"', '"questions", "questions"')
    )
    found = halbench("compare", "a", "a", "--suite", "my_suite.py")
    assert found.returncode == 2
    assert "score both again" in found.stderr


def test_a_user_s_file_may_be_called_like_any_module(own):
    (own / "random.py").write_text(example("extending.md"))
    assert load_suite("random.py").name == "signs"
    assert not hasattr(sys.modules["random"], "SUITE")


def test_a_changed_suite_file_is_another_signature(own, halbench):
    run_parrot(halbench, "a")
    before = score_stored("my_suite.py", [], Data(own), own / "a")
    (own / "my_suite.py").write_text(example("extending.md").replace("read_lenient", "read_llava"))
    after = score_stored("my_suite.py", [], Data(own), own / "a")
    assert before.fields["version"] != after.fields["version"]
    assert {**before.fields, "version": ""} == {**after.fields, "version": ""}


def test_the_objective_of_the_docs_trains(tmp_path):
    (tmp_path / "my_objective.py").write_text(example("training.md"))
    model = small_training.checkpoint(tmp_path / "model")
    pairs = small_training.write_pairs(tmp_path / "pairs")
    wanted = small_training.plan(str(tmp_path / "my_objective.py"), model, pairs, tmp_path / "out")
    found = trainer.train(wanted, progress.silent)
    assert found["status"] == "complete"
    assert found["settings"]["objective"]["name"] == "my_objective"
