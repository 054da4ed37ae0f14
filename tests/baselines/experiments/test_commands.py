"""The commands of an ablation, and what is said of one that fails."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_ablation import write_experiment

from baselines.experiments.commands import (
    AblationSetup,
    StepFailed,
    pairs_command,
    run_command,
    run_step,
    train_command,
)
from baselines.experiments.experiment import read_experiment
from halbench.folders.ablation import AblationFolder


def test_commands_say_only_what_the_experiment_and_the_setup_say(tmp_path: Path):
    experiment = read_experiment(write_experiment(tmp_path))
    (cell,) = experiment.cells
    setup = AblationSetup(AblationFolder(tmp_path / "out"))
    training = tmp_path / "out" / "cells" / cell.name
    assert train_command(cell, setup, "m", "p") == [
        *("train", "--config", str(training / "training.yaml"), "--model", "m", "--data", "p"),
        *("--out", str(training / "training")),
    ]
    assert run_command(experiment, setup, "m", Path("r")) == [
        *("run", "--model", "m", "--suite", "scenes", "--out", "r", "--set", "scenes=6")
    ]
    assert pairs_command(experiment, Path("p")) == [
        *("scenes", "pairs", "--out", "p", "--model", "scenes:base", "--pairs", "8", "--samples", "4")
    ]
    setup = AblationSetup(setup.folder, data=Path("d"), cache=Path("c"), device="cpu")
    assert train_command(cell, setup, "m", "p")[-4:] == ["--cache", "c", "--device", "cpu"]
    assert run_command(replace(experiment, limit=3, allow=("empty", "cut")), setup, "m", Path("r"))[-8:] == [
        *("--limit", "3", "--allow", "empty,cut", "--data", "d", "--device", "cpu")
    ]


def test_a_failed_command_is_its_last_line_with_the_log(tmp_path: Path):
    log = tmp_path / "logs" / "step.log"
    with pytest.raises(
        StepFailed, match=rf"^nowhere.yaml: cannot be read \(No such file or directory\) \(exit code 2; see {log}\)$"
    ):
        run_step(["train", "--config", "nowhere.yaml"], log)
    assert "halbench: nowhere.yaml: cannot be read" in log.read_text()
