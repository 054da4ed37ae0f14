"""A sweep: models x suites x decodings, as run folders that any other command reads; sweep_file.py describes its file.

A model is loaded once for all its unfinished cells, and not at all if there are none. Several models run in a process each: the
memory of one is free for the next, and one that dies takes no other with it. Why a cell failed stands beside its run folder, in
SUITE.failed, until it is run again.
"""

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any, Literal

from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK, InputError
from halbench.evaluation.coverage import Coverage
from halbench.evaluation.evaluate import Evaluation, run_settings
from halbench.evaluation.signature import signature_fields
from halbench.files.records import as_json, differing_fields, from_row, write_text
from halbench.folders.run import RunFolder
from halbench.running.generation import latest
from halbench.running.opening import OneModel
from halbench.running.processes import run_to_end
from halbench.running.ranks import init_ranks
from halbench.running.run import SuiteTask, planned_decoding
from halbench.running.several import Cell, Outcome, Suites, run_cell, run_each
from halbench.types import Response

State = Literal["done", "incomplete", "changed", "failed", "partial", "to do"]
MODELS_WITH_FILES = ("hf", "vllm")
"""Backends whose model is found as `hf` finds it."""


@dataclass(frozen=True)
class Progress:
    """How far a cell has come. answered: items with an answer, of `items`; None if the suite's data are missing. problem: why
    it is incomplete, changed or failed. changed: it was made or scored otherwise than it would be now; run again it is scored
    anew, or refused if its answers do not fit. final: running it again would change nothing."""

    state: State
    answered: int = 0
    items: int | None = None
    problem: str = ""
    final: bool = False


def progress_of(cell: Cell, suites: Suites) -> Progress:
    """How far a cell has come, by its folder; the model is not opened."""
    failed = cell.failure.read_text("utf-8").strip() if cell.failure.is_file() else ""
    try:
        found = recorded_progress(cell, suites.of(cell))
    except InputError as error:
        return Progress("failed", problem=str(error))
    if failed and found.state != "done":
        return Progress("failed", found.answered, found.items, failed)
    return found


def recorded_progress(cell: Cell, opened: SuiteTask) -> Progress:
    """The same, without regard to earlier failures."""
    items, folder = len(opened.task.items), cell.folder
    if not folder.manifest_path.is_file():
        return Progress("to do", 0, items)
    manifest = folder.manifest()
    if manifest.status not in ("complete", "incomplete"):
        rows = [row for part in folder.path.glob("responses*.jsonl") for row in folder.read(Response, part)]
        answered = sum(row.state != "error" for row in latest(rows).values())
        return Progress("partial" if answered else "to do", answered, items)
    coverage = from_row(Coverage, manifest.coverage, f"{folder.manifest_path}: coverage")
    answered = coverage.items - coverage.missing - coverage.errors
    if difference := outdated(cell, opened):
        return Progress("changed", answered, items, f"was made or scored otherwise: {difference}")
    if manifest.status == "complete":
        return Progress("done", answered, items, final=True)
    judge = cell.judging.judge or cell.judging.stored
    left = coverage.missing or coverage.errors or (coverage.unscored and judge)
    return Progress("incomplete", answered, items, coverage.complaint(), final=not left)


def outdated(cell: Cell, opened: SuiteTask) -> str:
    """What differs between a scored run folder and the cell as it is now: its settings, its scorer or its model."""
    suite, task, plan = opened.suite, opened.task, cell.plan
    manifest, decoding = cell.folder.manifest(), planned_decoding(plan, suite)
    recorded = manifest.settings.model
    planned = as_json(run_settings(suite, opened.options, task, recorded, decoding, plan.limit))
    fields = {**signature_fields(suite, task, decoding, {}), "allowed": ",".join(sorted(set(cell.acceptance.allow)))}
    if cell.judging.judge:
        fields["judge"] = cell.judging.judge.model
    model = model_now(cell, recorded)
    differences = [
        *differing_fields(cell.folder.manifest_row()["settings"], planned),
        *differing_fields({name: manifest.signature_fields.get(name, "") for name in fields}, as_json(fields)),
        *differing_fields({name: recorded.get(name) for name in model}, model),
    ]
    return "; ".join(dict.fromkeys(differences))


def model_now(cell: Cell, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What can be said of a cell's model without opening it, in the words of a manifest; nothing of its files where they are
    not at hand any more."""
    options = cell.options
    known: dict[str, Any] = {"seed": str(options.seed)}
    if cell.plan.backend not in MODELS_WITH_FILES:
        return known
    from halbench.models.checkpoints import find_checkpoint  # imports torch
    from halbench.models.names import template_identity

    known["template_kwargs"] = template_identity(options.template_kwargs).get("template_kwargs")
    if options.dtype != "auto":
        known["dtype"] = options.dtype
    with suppress(InputError):
        identity = find_checkpoint(cell.plan.model, options.base).identity()
        known |= {name: identity.get(name) for name in ("fingerprint", "adapter")}
    return known


def run_cells(cells: Sequence[Cell], suites: Suites) -> Iterator[Outcome[tuple[Evaluation, RunFolder]]]:
    """The outcome of each cell, in this process. One without result and problem was finished before."""
    ranks = init_ranks()

    def run_unfinished(cell: Cell, opened: SuiteTask, model: OneModel) -> tuple[Evaluation, RunFolder] | None:
        if ranks.of_main(lambda: recorded_progress(cell, opened).final):
            return None
        return run_cell(cell, opened, model)

    for outcome in run_each(cells, suites, run_unfinished):
        if ranks.is_main and not outcome.in_use:
            record_failure(outcome.cell, outcome.problem)
        yield outcome


def record_failure(cell: Cell, problem: str | None) -> None:
    """Write down why a cell failed, or that it did not."""
    if problem is None:
        cell.failure.unlink(missing_ok=True)
    else:
        write_text(cell.failure, f"{problem}\n")


def run_models(file: Path, cells: Sequence[Cell], suites: Suites) -> None:
    """Run the unfinished cells of several models, each model in a process of its own."""
    for model in dict.fromkeys(cell.model for cell in cells):
        own = [cell for cell in cells if cell.model == model]
        if all(progress_of(cell, suites).final for cell in own):
            continue
        command = [
            sys.executable,
            "-m",
            "halbench",
            "sweep",
            str(file),
            "--only",
            model,
            "--json",
        ]  # the table comes last
        code = run_to_end(command, stdout=DEVNULL)
        if code in (OK, BAD_INPUT_OR_INCOMPLETE):
            continue
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        for cell in own:
            if progress_of(cell, suites).state in ("partial", "to do"):
                record_failure(cell, f"the process of this model was {how}")
