"""An ablation: every cell of an experiment trained, run and scored, with the controls that make it honest.

    OUT/ablation.json                settings, state of every cell, and whether all cells trained on identical data
    OUT/pairs/                       where the experiment has them made
    OUT/base/run                     the model as it is
    OUT/truncated/run                its answers with the last sentence dropped, see truncation.py
    OUT/cells/mdpo-lr0.0002-seed1/   training.yaml, training/ and run/, and what both printed in training.log, run.log

Each step is a `halbench` command in a process of its own: memory, seeds and threads start clean, and a cell that dies takes
no other with it. The commands go on where they were killed, so an ablation does; a finished cell is not touched again.
"""

import ctypes
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from baselines import identity, training_folder
from baselines.experiments import Cell, Experiment
from baselines.preferences import read_pairs
from baselines.trainer import checkpoint_source, open_objective
from baselines.truncation import truncated_run
from halbench.backends.hf import fingerprint
from halbench.datasets import open_data
from halbench.errors import InputError
from halbench.evaluation import load_suite
from halbench.records import as_json, read_json, write_json
from halbench.run_folder import RunFolder, differing_fields
from halbench.suite_options import option_values, parse_options

FORMAT = 1
FILE = "ablation.json"
UNSEEDED = ("pairs", "used", "dropped", "model", "reference", "packed", "processes", "versions")

Say = Callable[[str], None]
"""Told of every step that begins or ends, one line each."""


class StepFailed(Exception):
    """A command of ours ended with an error; the message is its own last line."""


@dataclass(frozen=True)
class Place:
    """Where an ablation works. data: of the suite, cache: of training, both None for the default; device: None for the best
    there is."""

    out: Path
    data: Path | None = None
    cache: Path | None = None
    device: str | None = None

    @property
    def base(self) -> Path:
        return self.out / "base" / "run"

    @property
    def truncated(self) -> Path:
        return self.out / "truncated" / "run"

    def cell(self, cell: Cell) -> Path:
        return self.out / "cells" / cell.name

    def device_option(self) -> list[str]:
        return ["--device", self.device] if self.device else []


def ablate(experiment: Experiment, place: Place, say: Say) -> dict[str, Any]:
    """Do, or go on doing, all that the experiment asks for; returns what ablation.json then holds.

    A cell that fails is recorded, and the others go on. Without the base there is nothing to compare with: its failure is
    the caller's.
    """
    check(experiment)
    with training_folder.held(place.out, FILE):
        record = claim(experiment, place)
        try:
            pairs = ready_pairs(experiment, place, say)
            claim_cells(experiment, place)
            record["settings"]["pairs"] = same_pairs(record, pairs, place)
            run_controls(experiment, place, say)
        except StepFailed as failure:
            raise InputError(str(failure)) from failure
        write_json(place.out / FILE, record)
        for number, cell in enumerate(experiment.cells, 1):
            at = f"{number} of {len(experiment.cells)}"
            record["cells"][cell.name] = finish_cell(experiment, cell, place, pairs, at, say)
            write_json(place.out / FILE, record)
        states = [record["cells"][cell.name]["status"] for cell in experiment.cells]
        record["status"] = "complete" if set(states) <= {"complete"} else "incomplete"
        complete = [cell for cell, state in zip(experiment.cells, states, strict=True) if state == "complete"]
        record["identity"] = data_identity(
            {cell.name: training_folder.read_training(place.cell(cell) / "training") for cell in complete}
        )
        write_json(place.out / FILE, record)
    return record


def check(experiment: Experiment) -> None:
    """Raise for what would fail in every cell, before an hour has gone into the first ones."""
    for cell in experiment.cells:
        open_objective(cell.objective, cell.config.get("settings") or {})
    parse_options(load_suite(experiment.suite).options, assignments(experiment))


def assignments(experiment: Experiment) -> list[str]:
    """The suite's options as --set takes them."""
    return [f"{name}={value}" for name, value in experiment.options.items()]


def claim(experiment: Experiment, place: Place) -> dict[str, Any]:
    """The record of the folder, which belongs to one model, set of pairs and suite. Cells may be added to it later."""
    suite = load_suite(experiment.suite)
    options = option_values(parse_options(suite.options, assignments(experiment)))
    settings = as_json(
        {
            "model": {"name": experiment.model, "fingerprint": fingerprint(checkpoint_source(experiment.model))},
            "pairs": {"source": experiment.pairs},
            "suite": {"name": experiment.suite, "version": suite.version, "options": options},
            "limit": experiment.limit,
        }
    )
    path = place.out / FILE
    found = read_record(place.out) if path.is_file() else {"settings": settings, "cells": {}}
    stored = {**found["settings"], "pairs": {"source": found["settings"]["pairs"]["source"]}}
    if differing := differing_fields(stored, settings):
        raise InputError(
            f"{place.out} is an ablation of other things ({'; '.join(differing)}). Choose another --out, or remove it"
        )
    record = {"format": FORMAT, "status": "running", "settings": found["settings"], "cells": dict(found["cells"])}
    write_json(path, record)
    return record


def read_record(out: Path) -> dict[str, Any]:
    """A folder's ablation.json."""
    found = read_json(out / FILE)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{out / FILE}: not format {FORMAT}, which this halbench reads")
    return found


def claim_cells(experiment: Experiment, place: Place) -> None:
    """Write each cell's training.yaml; refuses a cell that was asked for in another way."""
    for cell in experiment.cells:
        path = place.cell(cell) / "training.yaml"
        wanted = as_json(cell.config)
        if path.is_file():
            if differing := differing_fields(yaml.safe_load(path.read_text("utf-8")) or {}, wanted):
                raise InputError(
                    f"{path.parent} was made with other settings ({'; '.join(differing)}). Choose another --out, or remove it"
                )
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name("training.yaml.partial")
        partial.write_text(yaml.safe_dump(wanted, sort_keys=False), "utf-8")
        partial.replace(path)


def ready_pairs(experiment: Experiment, place: Place, say: Say) -> str:
    """Where the pairs are, once they are there."""
    if isinstance(experiment.pairs, str):
        return experiment.pairs
    folder, partial = place.out / "pairs", place.out / "pairs.partial"
    if not folder.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
        asked = [part for name, value in experiment.pairs.items() for part in (f"--{name}", str(value))]
        say("making preference pairs")
        step(["scenes", "pairs", "--out", str(partial), "--model", experiment.model, *asked], place.out / "pairs.log")
        partial.rename(folder)
    return str(folder)


def same_pairs(record: Mapping[str, Any], pairs: str, place: Place) -> dict[str, Any]:
    """What is recorded of the pairs; refuses others than those that finished cells were trained on."""
    known, found = record["settings"]["pairs"], read_pairs(pairs, None).hash
    if known.get("hash", found) != found:
        raise InputError(
            f"{pairs} has changed since {place.out} was begun (pairs {known['hash']} there, {found} now). Choose another --out"
        )
    return {**known, "hash": found}


def run_controls(experiment: Experiment, place: Place, say: Say) -> None:
    """The base as it is, and truncated."""
    if not is_complete(place.base):
        say("running the base")
        step(run_command(experiment, place, experiment.model, place.base), place.out / "base" / "run.log")
    if not is_complete(place.truncated):
        truncated_run(experiment.suite, place.base, place.truncated, open_data(place.data))


def finish_cell(experiment: Experiment, cell: Cell, place: Place, pairs: str, at: str, say: Say) -> dict[str, Any]:
    """Train and run what is not finished of a cell; how that went. at: "3 of 18", for people."""
    folder = place.cell(cell)
    training, run = folder / "training", folder / "run"
    begun = time.monotonic()
    stage = "training"
    try:
        if not is_trained(training):
            say(f"{at}: training {cell.name}")
            step(train_command(cell, place, experiment.model, pairs), folder / "training.log")
        stage = "run"
        if not is_complete(run):
            say(f"{at}: running {cell.name}, trained in {time.monotonic() - begun:.0f} s")
            step(run_command(experiment, place, str(training), run), folder / "run.log")
    except StepFailed as failure:
        say(f"{at}: {cell.name} failed: {failure}")
        return {"status": "failed", "stage": stage, "error": str(failure)}
    return {"status": "complete", "training_seconds": training_folder.read_training(training)["seconds"]}


def train_command(cell: Cell, place: Place, model: str, pairs: str) -> list[str]:
    folder = place.cell(cell)
    what = ["--config", str(folder / "training.yaml"), "--model", model, "--data", pairs]
    cache = ["--cache", str(place.cache)] if place.cache else []
    return ["train", *what, "--out", str(folder / "training"), *cache, *place.device_option()]


def run_command(experiment: Experiment, place: Place, model: str, out: Path) -> list[str]:
    options = [part for assignment in assignments(experiment) for part in ("--set", assignment)]
    limit = ["--limit", str(experiment.limit)] if experiment.limit is not None else []
    data = ["--data", str(place.data)] if place.data else []
    what = ["--model", model, "--suite", experiment.suite, "--out", str(out)]
    return ["run", *what, *options, *limit, *data, *place.device_option()]


def step(arguments: Sequence[str], log: Path) -> None:
    """One `halbench` command to its end; what it prints goes to `log`. Raises StepFailed with its last line."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "halbench", *arguments]
    with log.open("ab") as file:
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, preexec_fn=end_with_parent
        ).returncode
    if code:
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        said = lines[-1].removeprefix("halbench: ") if lines else "nothing"
        raise StepFailed(f"{said} (exit code {code}; see {log})")


def end_with_parent() -> None:
    """On Linux a command dies with the ablation that started it: one that goes on alone would hold its folder, and the
    next ablation would find it locked."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_trained(folder: Path) -> bool:
    path = folder / training_folder.FILE
    return path.is_file() and training_folder.read_training(folder)["status"] == "complete"


def is_complete(run: Path) -> bool:
    """Whether all items of a run were answered and scored. Its settings follow from those that the ablation checked."""
    folder = RunFolder(run)
    return folder.manifest_path.is_file() and folder.manifest()["status"] == "complete"


def data_identity(trained: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Whether all cells trained on identical data. Cells of one seed must agree in everything, seeds in what no seed
    changes; an objective that asks for another order of the same pairs is told apart, as intended.

    trained: cell -> its training.json.
    """
    differences, intended = {}, {}
    first_of_all = next(iter(trained.values()), {})
    first_of_seed: dict[int, Mapping[str, Any]] = {}
    for name, found in trained.items():
        first = first_of_seed.setdefault(found["identity"]["seed"], found)
        apart = identity.differences(first["identity"], found["identity"])
        if order_of(first) != order_of(found):
            intended[name] = f"order is {order_of(found)}, not {order_of(first)}"
            apart = [line for line in apart if not line.startswith("order:")]
        apart += differing_fields(unseeded(first_of_all), unseeded(found))
        if apart:
            differences[name] = list(dict.fromkeys(apart))
    return {"identical": not differences, "cells": len(trained), "differences": differences, "intended": intended}


def order_of(training: Mapping[str, Any]) -> str:
    """In what order a run took its pairs: "shuffled" or "curriculum"."""
    asked = training["settings"]
    return str(asked["recipe"]["order"] or asked["objective"]["config"].get("order", "shuffled"))


def unseeded(training: Mapping[str, Any]) -> dict[str, Any]:
    return {name: training["identity"][name] for name in UNSEEDED}


def describe(record: Mapping[str, Any]) -> str:
    """What is to be known of the data behind the table, as lines for people."""
    found, pairs = record["identity"], record["settings"]["pairs"]["hash"]
    lines = ["truncated base: the base's own answers without their last sentence"]
    lines += [f"data: pairs {pairs}, the same for all {found['cells']} cells"] if found["identical"] else []
    lines += [f"data of {name} differ: {'; '.join(apart)}" for name, apart in found["differences"].items()]
    reasons: dict[str, list[str]] = {}
    for name, reason in found["intended"].items():
        reasons.setdefault(reason, []).append(name)
    return "\n".join([*lines, *(f"{reason}, as intended: {', '.join(names)}" for reason, names in reasons.items())])
