"""halbench ablate: cells of one experiment on identical data, none done twice, none lost, next to their controls."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from small_ablation import SMALL, ablate_command, ablation_record, run_ablation, write_experiment

from baselines.experiments.ablation import ablate
from baselines.experiments.commands import AblationSetup
from baselines.experiments.experiment import read_experiment
from halbench.folders.ablation import AblationFolder
from halbench.terminal import progress
from reports.reading import position_of

CELL_FILES = (
    "training/training.json",
    "training/adapter_model.safetensors",
    "run/manifest.json",
    "run/responses.jsonl",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """An ablation in which one of two objectives cannot be computed, as a folder and what was printed."""
    folder = tmp_path_factory.mktemp("ablation")
    broken = folder / "broken.py"
    broken.write_text(BROKEN)
    done = run_ablation(write_experiment(folder, f"{broken}: , dpo: "), folder / "out", "--json")
    return folder, done


BROKEN = """
from baselines.objectives.dpo import VIEWS, Config, loss as sound, loss_at_start
from baselines.types import Loss

def loss(scored, config):
    sum = sound(scored, config)
    return Loss(sum.per_pair * float("nan"), sum.terms)
"""


@pytest.mark.slow
def test_a_cell_that_fails_is_recorded_and_the_others_continue(finished):
    folder, done = finished
    assert done.returncode == 2, done.stderr
    states = ablation_record(folder / "out")["cells"]
    assert states["dpo-lr0.0001-seed0"]["status"] == "complete"
    failed = states["broken-lr0.0001-seed0"]
    assert (failed["status"], failed["stage"]) == ("failed", "training")
    assert "not finite" in failed["error"]
    assert "INCOMPLETE: broken-lr0.0001-seed0" in done.stderr


@pytest.mark.slow
def test_base_and_truncation_control_are_rows_next_to_the_objectives(finished):
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
    done = run_ablation(write_experiment(folder, "dpo: ", "[1, 0]"), out)
    assert done.returncode == 0, done.stderr
    assert before == {name: (cell / name).stat().st_mtime_ns for name in CELL_FILES}
    assert ablation_record(out)["cells"]["dpo-lr0.0001-seed1"]["status"] == "complete"
    assert ablation_record(out)["identity"]["identical"]
    assert "mean of 2 seeds" in done.stdout
    names = ["dpo-lr0.0001-seed1", "dpo-lr0.0001-seed0", "broken-lr0.0001-seed0"]
    assert list(ablation_record(out)["cells"]) == names, "in the experiment's order, the new cell first"
    assert [position_of(AblationFolder(out).training(name)) for name in names] == [0, 1, 2]


@pytest.mark.slow
def test_a_log_file_gets_a_line_while_an_ablation_runs(finished, monkeypatch, capsys):
    folder, _ = finished
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    experiment = read_experiment(write_experiment(folder, "dpo: ", "[1, 0]"))
    ablate(experiment, AblationSetup(AblationFolder(folder / "out"), cache=folder / "cache"))
    assert "halbench: cells: 1 of 2" in capsys.readouterr().err
    log = (AblationFolder(folder / "out").cell(experiment.cells[0].name) / "training.log").read_text()
    assert "halbench: training steps: 1 of 1" in log
    assert "\r" not in log


@pytest.mark.slow
def test_a_folder_of_another_suite_or_recipe_is_refused(finished):
    folder, _ = finished
    suite = run_ablation(write_experiment(folder, text=SMALL.replace("scenes: 6", "scenes: 7")), folder / "out")
    assert (suite.returncode, "scenes: 6 (recorded), 7 (requested)" in suite.stderr) == (2, True), suite.stderr
    recipe = run_ablation(write_experiment(folder, text=SMALL.replace("lora_r: 8", "lora_r: 4")), folder / "out")
    assert (recipe.returncode, "lora_r: 8 (recorded), 4 (requested)" in recipe.stderr) == (2, True), recipe.stderr


@pytest.mark.slow
def test_a_killed_ablation_resumes_and_ends_as_an_undisturbed_one(finished):
    folder, _ = finished
    out = folder / "killed"
    experiment = write_experiment(folder)
    with subprocess.Popen(
        ablate_command(experiment, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        started = out / "cells/dpo-lr0.0001-seed0/training/training.json"
        while not started.is_file():
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert ablation_record(out)["cells"] == {}
    done = run_ablation(experiment, out)
    assert done.returncode == 0, done.stderr
    for name in ("training/adapter_model.safetensors", "run/scores.jsonl"):
        left, right = (one / "cells/dpo-lr0.0001-seed0" / name for one in (out, folder / "out"))
        assert left.read_bytes() == right.read_bytes()
