"""Run, training and ablation folders -> one ReportInput: the runs and trainings, and one tidy frame of all results.

    reading = read_folders([Path("runs")])
    reading.results     run  role  objective  seed  ...  suite  group  metric  value  low  high  n  ...  signature  status

Folders that cannot be read are named in `skipped`, runs that cannot share a table in `incomparable`; neither stops a report.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from halbench.comparing import comparison
from halbench.errors import InputError
from halbench.files.records import as_json, differing_fields
from halbench.folders.ablation import ablation_of
from halbench.folders.run import MANIFEST, RunFolder
from halbench.folders.training import TRAINING, TrainingFolder
from halbench.types import Result
from reports.types import LoadedRun, LoadedTraining, ReportInput

RUN_COLUMNS = ("role", "objective", "seed", "learning_rate", "pairs_hash")
COLUMNS = ("run", *RUN_COLUMNS, *(field.name for field in fields(Result)), "status")
T = TypeVar("T", LoadedRun, LoadedTraining)


def read_folders(paths: Sequence[Path]) -> ReportInput:
    """All runs and trainings in these folders and below them. Raises InputError for a path that does not exist."""
    skipped: list[str] = []
    folders = list({folder.resolve(): folder for path in paths for folder in folders_in(path, skipped)}.values())
    trainings = with_unique_names([t for path in folders if (t := read_training(path, skipped))])
    runs = with_unique_names([run for path in folders if (run := read_run(path, trainings, skipped))])
    rows = [row for run in runs for row in result_rows(run)]
    return ReportInput(runs, trainings, pd.DataFrame(rows, columns=list(COLUMNS)), skipped, incomparable_sets(runs))


def folders_in(path: Path, skipped: list[str]) -> Iterator[Path]:
    """The folders at or below `path` that hold a run or a training."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; expected run, training or ablation folders")
    is_empty = True

    def unreadable(error: OSError) -> None:
        skipped.append(f"{error.filename}: cannot be read ({error.strerror})")

    for folder, subfolders, files in os.walk(path, onerror=unreadable):
        ignored = (".", "checkpoint-") if TRAINING in files else "."
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(ignored))
        if {MANIFEST, TRAINING} & set(files):
            is_empty = False
            yield Path(folder)
    if is_empty:
        skipped.append(f"{path}: contains no run ({MANIFEST}) and no training ({TRAINING})")


def read_run(path: Path, trainings: Sequence[LoadedTraining], skipped: list[str]) -> LoadedRun | None:
    """The run in a folder; None, and a line in `skipped`, if it has no scores or is damaged."""
    folder = RunFolder(path)
    if not folder.manifest_path.is_file():
        return None
    try:
        manifest = folder.manifest()
        results = folder.results() if manifest.status in ("complete", "incomplete") else []
        loaded = comparison.load_run(path)  # not kept, since scores are large; a damaged one is left out of every kind
    except InputError as error:
        skipped.append(str(error))
        return None
    member = ablation_of(path)
    role = member[1] if member else "run"
    run = LoadedRun(path.name, path, results[0].suite, loaded.signature, manifest, loaded.coverage, role)
    training = next((one for one in trainings if produced(one, path, manifest.settings.model)), None)
    if training is None:
        return run
    return replace(run, role="cell" if run.role == "cell" else "run", training=training)


def produced(training: LoadedTraining, path: Path, model: Mapping[str, Any]) -> bool:
    """Whether this training produced the model of the run at `path`, by its fingerprint or by its cell of an ablation."""
    if training.result is not None:
        return training.result in (model.get("adapter"), model.get("fingerprint"))
    member = ablation_of(path)
    return member is not None and member[1] == "cell" and training.path == path.parent / "training"


def read_training(path: Path, skipped: list[str]) -> LoadedTraining | None:
    """The training in a folder; None, and a line in `skipped`, if it is not complete."""
    folder = TrainingFolder(path)
    if not folder.record_path.is_file():
        return None
    try:
        record, log = folder.complete_record(), pd.DataFrame(folder.log())
    except InputError as error:
        skipped.append(str(error))
        return None
    return LoadedTraining(
        name=path.name,
        path=path,
        position=position_of(path),
        objective=record.objective,
        seed=record.seed,
        learning_rate=record.learning_rate,
        pairs_hash=record.pairs_hash,
        settings=record.method,
        result=record.result,
        log=log,
    )


def position_of(training: Path) -> int | None:
    """The index of a training among the cells of its ablation; None outside of an ablation."""
    member = ablation_of(training)
    if member is None or member[1] != "cell":
        return None
    names = list(member[0].record().get("cells", {}))
    return names.index(training.parent.name) if training.parent.name in names else len(names)


def with_unique_names(records: Sequence[T]) -> list[T]:
    """The records, each named by the shortest end of its path that no other has; "run" and "training" are left out of names."""
    paths = [
        [part for part in one.path.resolve().parts if part not in ("run", "training")] or ["run"] for one in records
    ]
    names = []
    for own in paths:
        length = next(
            n for n in range(1, len(own) + 1) if sum(other[-n:] == own[-n:] for other in paths) == 1 or n == len(own)
        )
        names.append("/".join(own[-length:]))
    repeated = {name for name in names if names.count(name) > 1}
    return [
        replace(one, name=str(one.path) if name in repeated else name) for one, name in zip(records, names, strict=True)
    ]


def result_rows(run: LoadedRun) -> list[dict[str, Any]]:
    """A run's results, each with the columns that describe the run."""
    about = {name: getattr(run, name) for name in RUN_COLUMNS} | {"run": run.name, "status": run.manifest.status}
    return [{**about, **as_json(row), "suite": run.suite} for row in RunFolder(run.path).results()]


def incomparable_sets(runs: Sequence[LoadedRun]) -> list[str]:
    """A line for each further signature of a suite, and one if models were trained on different preference pairs."""
    lines = []
    for suite in dict.fromkeys(run.suite for run in runs):
        (first, *others) = grouped([run for run in runs if run.suite == suite], "signature").values()
        for other in others:
            former, latter = (group[0].manifest.signature_fields for group in (other, first))
            lines.append(
                f"{suite}: {list_names(other)} cannot be compared with {list_names(first)}: "
                f"{'; '.join(differing_fields(former, latter, ('in the former', 'in the latter')))}"
            )
    pairs = grouped([run for run in runs if run.pairs_hash], "pairs_hash")
    if len(pairs) > 1:
        sets = "; ".join(f"{digest}: {list_names(trained)}" for digest, trained in pairs.items())
        lines.append(f"trained on different preference pairs: {sets}")
    return lines


def grouped(runs: Sequence[LoadedRun], attribute: str) -> dict[str, list[LoadedRun]]:
    """The runs by the value of an attribute, in order of appearance."""
    groups: dict[str, list[LoadedRun]] = {}
    for run in runs:
        groups.setdefault(getattr(run, attribute), []).append(run)
    return groups


def list_names(runs: Sequence[LoadedRun]) -> str:
    """Up to three names of runs, and how many more there are."""
    names = ", ".join(run.name for run in runs[:3])
    return names if len(runs) <= 3 else f"{names} and {len(runs) - 3} more"
