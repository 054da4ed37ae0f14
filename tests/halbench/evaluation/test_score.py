"""Scoring stored responses: which suite they answer, and where the evaluation is written."""

import json

import pytest
from stored import jsonl, score

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.files.records import read_json


@pytest.fixture
def answers(tmp_path):
    """Two descriptions of the scenes suite."""
    rows = [{"id": f"{number}/description", "response": "A fork."} for number in range(2)]
    return jsonl(tmp_path / "answers.jsonl", rows)


@pytest.fixture
def scenes(tmp_path):
    return Data(tmp_path / "data")


def test_a_response_file_needs_a_suite(answers, scenes):
    with pytest.raises(InputError, match="--suite is required for a response file"):
        score(None, answers, scenes)


def test_nothing_is_written_unless_a_folder_is_named(answers, scenes, tmp_path):
    assert score("scenes", answers, scenes, "scenes=2").coverage.complete
    assert {path.name for path in tmp_path.iterdir()} == {"answers.jsonl"}


def test_a_run_folder_holds_responses_scores_results_and_a_manifest(answers, scenes, tmp_path):
    evaluation = score("scenes", answers, scenes, "scenes=2", out=tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        "manifest.json",
        "responses.jsonl",
        "scores.jsonl",
        "results.json",
    }
    manifest = read_json(tmp_path / "run/manifest.json")
    assert (manifest["status"], manifest["signature"]) == ("complete", evaluation.signature)
    assert manifest["settings"]["suite"]["options"] == {"scenes": 2, "seed": 0, "part": "auto"}
    assert manifest["settings"]["decoding"] is None
    assert manifest["settings"]["model"]["responses"] == "answers.jsonl"
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert [row["metric"] for row in results] == [row.metric for row in evaluation.results]


def test_the_folder_that_is_scored_cannot_be_the_one_that_is_written(answers, scenes, tmp_path):
    score("scenes", answers, scenes, "scenes=2", out=tmp_path / "run")
    with pytest.raises(InputError, match="is the run folder being scored; choose another, or omit --out"):
        score(None, tmp_path / "run", scenes, out=tmp_path / "run")


def test_a_run_folder_of_another_suite_is_refused(answers, scenes, tmp_path):
    score("scenes", answers, scenes, "scenes=2", out=tmp_path / "run")
    with pytest.raises(InputError, match="is a run of suite 'scenes', not of 'amber'"):
        score("amber", tmp_path / "run", scenes)
