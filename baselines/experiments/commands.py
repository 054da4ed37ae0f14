"""The `halbench` commands of an ablation, each in a process of its own: memory, seeds and threads start clean, and a
cell that dies takes no other with it."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.experiments.experiment import Cell, Experiment
from halbench.errors import BUG
from halbench.folders.ablation import AblationFolder
from halbench.running.processes import run_to_end


class StepFailed(Exception):
    """One of our commands ended with an error; the message is its own last line."""


@dataclass(frozen=True)
class AblationSetup:
    """Where an ablation works. data: folder of the suite's data, cache: of training, both None for the default; device:
    None for the best one."""

    folder: AblationFolder
    data: Path | None = None
    cache: Path | None = None
    device: str | None = None

    def device_option(self) -> list[str]:
        return ["--device", self.device] if self.device else []


def assignments(experiment: Experiment) -> list[str]:
    """The suite's options, as --set takes them."""
    return [f"{name}={value}" for name, value in experiment.options.items()]


def pairs_command(experiment: Experiment, out: Path) -> list[str]:
    """Makes the preference pairs of an experiment that says how."""
    assert not isinstance(experiment.pairs, str)
    options = [part for name, value in experiment.pairs.items() for part in (f"--{name}", str(value))]
    return ["scenes", "pairs", "--out", str(out), "--model", experiment.model, *options]


def train_command(cell: Cell, setup: AblationSetup, model: str, pairs: str) -> list[str]:
    """Trains a cell."""
    config = ["--config", str(setup.folder.cell(cell.name) / "training.yaml"), "--model", model, "--data", pairs]
    cache = ["--cache", str(setup.cache)] if setup.cache else []
    out = ["--out", str(setup.folder.training(cell.name))]
    return ["train", *config, *out, *cache, *setup.device_option()]


def run_command(experiment: Experiment, setup: AblationSetup, model: str, out: Path) -> list[str]:
    """Runs and scores a model."""
    options = [part for assignment in assignments(experiment) for part in ("--set", assignment)]
    limit = ["--limit", str(experiment.limit)] if experiment.limit is not None else []
    allow = ["--allow", ",".join(experiment.allow)] if experiment.allow else []
    data = ["--data", str(setup.data)] if setup.data else []
    run = ["run", "--model", model, "--suite", experiment.suite, "--out", str(out)]
    return [*run, *options, *limit, *allow, *data, *setup.device_option()]


def run_step(arguments: Sequence[str], log: Path) -> None:
    """Run one `halbench` command to its end, its output in `log`. Raises StepFailed with its last line."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "halbench", *arguments]
    with log.open("ab") as file:
        code = run_to_end(command, stdout=file, stderr=subprocess.STDOUT)
    if code:
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        if code == BUG:
            lines = lines[:-1]  # the request to report the trace, which is in the log
        last = lines[-1].removeprefix("halbench: ") if lines else "it printed nothing"
        raise StepFailed(f"{last} (exit code {code}; see {log})")
