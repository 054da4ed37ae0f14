"""An ablation: every cell of an experiment trained, run and scored, with the controls that make it honest.

A killed ablation resumes, as its commands do, and a finished cell is not touched again. halbench/folders/ablation.py
describes the folder that it writes.
"""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from baselines.experiments.commands import (
    AblationSetup,
    StepFailed,
    assignments,
    pairs_command,
    run_command,
    run_step,
    train_command,
)
from baselines.experiments.data_identity import data_identity
from baselines.experiments.experiment import Cell, Experiment
from baselines.experiments.truncation import truncated_run
from baselines.pairs.preferences import read_pairs
from baselines.training.base_model import checkpoint_source
from baselines.training.open_objective import open_objective
from halbench.data.datasets import open_data
from halbench.errors import InputError
from halbench.evaluation.suites import load_suite
from halbench.files.records import as_json, differing_fields, write_text
from halbench.folders.ablation import AblationFolder
from halbench.folders.run import RunFolder
from halbench.folders.training import TrainingFolder
from halbench.models.fingerprints import fingerprint
from halbench.settings import option_values, parse_options
from halbench.terminal.progress import progress, say


def ablate(experiment: Experiment, setup: AblationSetup) -> dict[str, Any]:
    """Run, or resume, an experiment; returns the content of ablation.json.

    A cell that fails is recorded, and the others continue. If the base fails there is nothing to compare with:
    InputError.
    """
    check(experiment)
    folder = setup.folder
    with folder.lock():
        record = open_or_create(experiment, folder)
        try:
            pairs = ready_pairs(experiment, folder)
            write_cell_configs(experiment, folder)
            record["settings"]["pairs"] = checked_pairs(record, pairs, folder)
            run_controls(experiment, setup)
        except StepFailed as failure:
            raise InputError(str(failure)) from failure
        folder.write_record(record)
        with progress("cells", len(experiment.cells)) as steps:
            for cell in experiment.cells:
                record["cells"][cell.name] = finish_cell(experiment, cell, setup, pairs)
                record["cells"] = in_order(record["cells"], experiment)
                folder.write_record(record)
                steps.advance()
        states = [record["cells"][cell.name]["status"] for cell in experiment.cells]
        record["status"] = "complete" if set(states) <= {"complete"} else "incomplete"
        complete = [cell.name for cell, state in zip(experiment.cells, states, strict=True) if state == "complete"]
        record["identity"] = data_identity({name: TrainingFolder(folder.training(name)).record() for name in complete})
        folder.write_record(record)
    return record


def in_order(cells: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """Cells in the experiment's order, which reports follow; cells of an earlier version of the experiment come
    last."""
    names = [cell.name for cell in experiment.cells if cell.name in cells]
    return {name: cells[name] for name in dict.fromkeys([*names, *cells])}


def check(experiment: Experiment) -> None:
    """Raise InputError for what would fail in every cell, before an hour has gone into the first ones."""
    for cell in experiment.cells:
        open_objective(cell.objective, cell.config.get("settings") or {})
    parse_options(load_suite(experiment.suite).options, assignments(experiment))


def open_or_create(experiment: Experiment, folder: AblationFolder) -> dict[str, Any]:
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
    earlier = folder.record() if folder.record_path.is_file() else {"settings": settings, "cells": {}}
    stored = {**earlier["settings"], "pairs": {"source": earlier["settings"]["pairs"]["source"]}}
    if differing := differing_fields(stored, settings):
        raise InputError(
            f"{folder.path} contains another ablation ({'; '.join(differing)}). Choose another --out, or remove it"
        )
    record = {"status": "running", "settings": earlier["settings"], "cells": dict(earlier["cells"])}
    folder.write_record(record)
    return record


def write_cell_configs(experiment: Experiment, folder: AblationFolder) -> None:
    """Write each cell's training.yaml. Raises InputError for a cell that was made with other settings."""
    for cell in experiment.cells:
        path = folder.cell(cell.name) / "training.yaml"
        config = as_json(cell.config)
        if not path.is_file():
            write_text(path, yaml.safe_dump(config, sort_keys=False))
        elif differing := differing_fields(yaml.safe_load(path.read_text("utf-8")) or {}, config):
            raise InputError(
                f"{path.parent} was made with other settings ({'; '.join(differing)}). Choose another --out, or remove it"
            )


def ready_pairs(experiment: Experiment, folder: AblationFolder) -> str:
    """The path of the pairs, which are made first if the experiment says how."""
    if isinstance(experiment.pairs, str):
        return experiment.pairs
    if not folder.pairs.is_dir():
        partial = folder.path / "pairs.partial"
        shutil.rmtree(partial, ignore_errors=True)
        log = folder.path / "pairs.log"
        say(f"generating preference pairs (progress in {log})")
        run_step(pairs_command(experiment, partial), log)
        partial.rename(folder.pairs)
    return str(folder.pairs)


def checked_pairs(record: Mapping[str, Any], pairs: str, folder: AblationFolder) -> dict[str, Any]:
    """What is recorded of the pairs. Raises InputError unless finished cells were trained on the same ones."""
    known, current = record["settings"]["pairs"], read_pairs(pairs, None).hash
    if known.get("hash", current) != current:
        raise InputError(
            f"{pairs} has changed since {folder.path} was started (hash was {known['hash']}, is {current}). "
            "Choose another --out"
        )
    return {**known, "hash": current}


def run_controls(experiment: Experiment, setup: AblationSetup) -> None:
    """Run the base as it is, and make its truncated answers."""
    folder = setup.folder
    if not is_complete(folder.base):
        say("evaluating the base model")
        run_step(run_command(experiment, setup, experiment.model, folder.base), folder.base.parent / "run.log")
    if not is_complete(folder.truncated):
        truncated_run(experiment.suite, folder.base, folder.truncated, open_data(setup.data), experiment.allow)


def finish_cell(experiment: Experiment, cell: Cell, setup: AblationSetup, pairs: str) -> dict[str, Any]:
    """Train and run what is not finished of a cell; returns its state for ablation.json."""
    folder = setup.folder.cell(cell.name)
    training, run = setup.folder.training(cell.name), setup.folder.run(cell.name)
    begun = time.monotonic()
    stage = "training"
    try:
        if not TrainingFolder(training).is_complete():
            say(f"training {cell.name}")
            run_step(train_command(cell, setup, experiment.model, pairs), folder / "training.log")
            say(f"{cell.name}: trained in {time.monotonic() - begun:.0f} s")
        stage = "run"
        if not is_complete(run):
            say(f"evaluating {cell.name}")
            run_step(run_command(experiment, setup, str(training), run), folder / "run.log")
    except StepFailed as failure:
        say(f"{cell.name} failed: {failure}")
        return {"status": "failed", "stage": stage, "error": str(failure)}
    return {"status": "complete", "training_seconds": TrainingFolder(training).record()["seconds"]}


def is_complete(run: Path) -> bool:
    """Whether all items of a run were answered and scored. Its settings follow from those that the ablation checked."""
    folder = RunFolder(run)
    return folder.manifest_path.is_file() and folder.manifest().status == "complete"
