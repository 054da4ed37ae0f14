"""An ablation: cells of one experiment on identical data, none done twice, none lost, and the controls beside them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from baselines.ablation import data_identity
from baselines.ablation_table import summary
from baselines.experiments import read_experiment
from baselines.truncation import truncated, without_last_sentence
from halbench.errors import InputError
from halbench.types import Response

EXPERIMENT = Path(__file__).parent.parent / "experiments" / "scenes.yaml"
SMALL = """
model: scenes:base
pairs: {pairs: 8, samples: 4}
suite: {name: scenes, options: {scenes: 6}}
recipe: {batch_size: 8, max_steps: 1, lora_r: 8, weight_decay: 0.0}
objectives: {OBJECTIVES}
seeds: SEEDS
learning_rates: [1e-4]
columns: [descriptions/chair, questions/accuracy]
"""
CELL_FILES = (
    "training/training.json",
    "training/adapter_model.safetensors",
    "run/manifest.json",
    "run/responses.jsonl",
)


def write(folder: Path, objectives: str = "dpo: ", seeds: str = "[0]", text: str = SMALL) -> Path:
    path = folder / "small.yaml"
    path.write_text(text.replace("OBJECTIVES", objectives).replace("SEEDS", seeds))
    return path


def ablate(experiment: Path, out: Path, *others: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(experiment, out, *others), capture_output=True, text=True, timeout=300)


def command(experiment: Path, out: Path, *others: str) -> list[str]:
    cache = ["--cache", str(out.parent / "cache")]
    return [sys.executable, "-m", "halbench", "ablate", str(experiment), "--out", str(out), *cache, *others]


def record(out: Path) -> dict[str, Any]:
    return json.loads((out / "ablation.json").read_text())


def training(seed: int = 0, order: str = "shuffled", **changed: Any) -> dict[str, Any]:
    seen = {
        **{"pairs": "p", "used": 8, "dropped": [], "seed": seed, "order": [f"{order} by {seed}"], "views": {}},
        **{"model": "m", "reference": "r", "packed": True, "processes": 1, "versions": {"torch": "2"}},
    }
    asked = {"recipe": {"order": None}, "objective": {"config": {"order": order}}}
    return {"identity": {**seen, **changed}, "settings": asked}


def test_the_shipped_experiment_has_four_objectives_two_controls_and_three_seeds():
    cells = read_experiment(EXPERIMENT).cells
    assert len({cell.name for cell in cells}) == 18
    assert {cell.objective for cell in cells} == {"dpo", "mdpo", "mfpo", "mbpo", "dpo_anchor", "sft"}
    assert {cell.seed for cell in cells} == {0, 1, 2}


def test_all_objectives_come_before_the_next_seed(tmp_path):
    found = read_experiment(write(tmp_path, "dpo: , sft: ", "[3, 4]")).cells
    assert [cell.name for cell in found] == [
        *("dpo-lr0.0001-seed3", "sft-lr0.0001-seed3", "dpo-lr0.0001-seed4", "sft-lr0.0001-seed4")
    ]


def test_an_objective_writes_over_the_recipe_and_may_have_its_own_learning_rate(tmp_path):
    text = SMALL.replace("[1e-4]", "[1e-4, 1e-5]")
    cells = read_experiment(write(tmp_path, "dpo: , sft: {learning_rate: 3e-4, epochs: 5}", "[0]", text)).cells
    assert [cell.name for cell in cells] == ["dpo-lr0.0001-seed0", "sft-lr0.0003-seed0", "dpo-lr1e-05-seed0"]
    assert [cell.config.get("epochs") for cell in cells] == [None, 5, None]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("suite:", "suit:", "unknown field 'suit'; did you mean 'suite'"),
        ("samples: 4", "sample: 4", "pairs: unknown option 'sample'"),
        ("lora_r: 8", "lora: 8", "recipe: unknown option 'lora'"),
        ("lora_r: 8", "lora_r: eight", "lora_r: expected int, found 'eight'"),
        ("lora_r: 8", "seed: 8", "recipe: unknown option 'seed'"),
        ("[1e-4]", "[1e-4, 0.0001]", "two cells are called dpo-lr0.0001-seed0"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, old, new, complaint):
    with pytest.raises(InputError, match=complaint):
        read_experiment(write(tmp_path, text=SMALL.replace(old, new)))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("A cup. A fork.", "A cup."),
        ("A cup is there! Beside it lie two forks and a knife.\n", "A cup is there!"),
        ("A cup.", "A cup."),
        ("A cup and a fork", "A cup and a fork"),
        ("", ""),
    ],
)
def test_truncation_drops_the_last_of_several_sentences(text, left):
    assert without_last_sentence(text) == left


def test_a_truncated_response_forgets_how_long_it_was_and_others_stay_as_they_are():
    long, short = Response("1", "One. Two.", tokens=4, finish="stop"), Response("2", "Yes", tokens=1, finish="stop")
    assert truncated([long, short]) == [Response("1", "One."), short]


def test_cells_that_saw_other_pairs_are_named():
    found = data_identity({"a": training(), "b": training(), "c": training(pairs="q", used=7)})
    assert not found["identical"]
    assert list(found["differences"]) == ["c"]
    assert found["differences"]["c"][0].startswith("pairs:")


def test_another_order_is_a_difference_only_where_the_objective_did_not_ask_for_it():
    assert data_identity({"a": training(), "b": training(order="curriculum")}) == {
        "identical": True,
        "cells": 2,
        "differences": {},
        "intended": {"b": "order is curriculum, not shuffled"},
    }
    assert not data_identity(
        {"a": training(), "b": training(**{}) | {"identity": training(1)["identity"] | {"seed": 0}}}
    )["identical"]


def test_seeds_may_differ_in_order_but_not_in_pairs_or_model():
    assert data_identity({"a": training(0), "b": training(1)})["identical"]
    assert list(data_identity({"a": training(0), "b": training(1, model="n")})["differences"]) == ["b"]


def test_a_metric_over_seeds_has_mean_spread_mean_interval_and_difference():
    rows = [
        {"value": value, "low": value - 0.1, "high": value + 0.2, "n": 6, "better": "lower", "unit": "fraction"}
        for value in (0.25, 0.75)
    ]
    found = summary(rows, 0.25)
    assert (found["mean"], found["min"], found["max"], found["minus_base"]) == (0.5, 0.25, 0.75, 0.25)
    assert (found["low"], found["high"]) == pytest.approx((0.4, 0.7))


def test_a_metric_that_one_seed_leaves_undefined_has_no_mean():
    row = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 6, "better": "lower", "unit": "fraction"}
    found = summary([row, row | {"value": None}], 0.25)
    assert (found["mean"], found["minus_base"]) == (None, None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """An ablation in which one of two objectives cannot be computed, as a folder and what was printed."""
    folder = tmp_path_factory.mktemp("ablation")
    broken = folder / "broken.py"
    broken.write_text(BROKEN)
    done = ablate(write(folder, f"{broken}: , dpo: "), folder / "out", "--json")
    return folder, done


BROKEN = """
from baselines.objectives.dpo import VIEWS, Config, loss as sound, loss_at_start
from baselines.types import Loss

def loss(scored, config):
    found = sound(scored, config)
    return Loss(found.per_pair * float("nan"), found.terms)
"""


@pytest.mark.slow
def test_a_cell_that_fails_is_recorded_and_the_others_go_on(finished):
    folder, done = finished
    assert done.returncode == 2, done.stderr
    states = record(folder / "out")["cells"]
    assert states["dpo-lr0.0001-seed0"]["status"] == "complete"
    failed = states["broken-lr0.0001-seed0"]
    assert (failed["status"], failed["stage"]) == ("failed", "training")
    assert "not finite" in failed["error"]
    assert "INCOMPLETE: broken-lr0.0001-seed0" in done.stderr


@pytest.mark.slow
def test_base_and_truncation_control_stand_beside_the_objectives(finished):
    folder, done = finished
    printed = json.loads(done.stdout)
    assert [row["row"] for row in printed["rows"]] == ["base", "truncated base", "dpo"]
    assert list(printed["rows"][0]["metrics"]) == ["descriptions/chair", "questions/accuracy"]
    model = json.loads((folder / "out/truncated/run/manifest.json").read_text())["settings"]["model"]
    assert "last sentence" in model["altered"]


@pytest.mark.slow
def test_a_finished_cell_is_not_touched_again_and_new_cells_can_be_added(finished):
    folder, _ = finished
    out = folder / "out"
    cell = out / "cells/dpo-lr0.0001-seed0"
    before = {name: (cell / name).stat().st_mtime_ns for name in CELL_FILES}
    done = ablate(write(folder, "dpo: ", "[0, 1]"), out)
    assert done.returncode == 0, done.stderr
    assert before == {name: (cell / name).stat().st_mtime_ns for name in CELL_FILES}
    assert record(out)["cells"]["dpo-lr0.0001-seed1"]["status"] == "complete"
    assert record(out)["identity"]["identical"]
    assert "mean of 2 seeds" in done.stdout


@pytest.mark.slow
def test_a_folder_of_another_suite_or_recipe_is_refused(finished):
    folder, _ = finished
    suite = ablate(write(folder, text=SMALL.replace("scenes: 6", "scenes: 7")), folder / "out")
    assert (suite.returncode, "scenes: 6 there, 7 here" in suite.stderr) == (2, True), suite.stderr
    recipe = ablate(write(folder, text=SMALL.replace("lora_r: 8", "lora_r: 4")), folder / "out")
    assert (recipe.returncode, "lora_r: 8 there, 4 here" in recipe.stderr) == (2, True), recipe.stderr


@pytest.mark.slow
def test_a_killed_ablation_goes_on_and_ends_as_an_undisturbed_one(finished):
    folder, _ = finished
    out = folder / "killed"
    experiment = write(folder)
    with subprocess.Popen(command(experiment, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        started = out / "cells/dpo-lr0.0001-seed0/training/training.json"
        while not started.is_file():
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert record(out)["cells"] == {}
    done = ablate(experiment, out)
    assert done.returncode == 0, done.stderr
    for name in ("training/adapter_model.safetensors", "run/scores.jsonl"):
        left, right = (folder / place / "cells/dpo-lr0.0001-seed0" / name for place in ("killed", "out"))
        assert left.read_bytes() == right.read_bytes()
