"""Run, training and ablation folders -> one Reading: what can be told of them, and one tidy frame of all results.

    reading = read_folders([Path("runs")])
    reading.results     run  role  objective  seed  ...  suite  group  metric  value  low  high  n  ...  signature  status

What cannot be read is named in `skipped`, runs that cannot stand beside each other in `apart`; neither stops a report.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from halbench.errors import InputError
from halbench.records import from_row, read_json, read_jsonl
from halbench.run_folder import RunFolder, differing_fields
from halbench.scoring import Coverage
from halbench.types import Result
from reports.types import Reading, ReadRun, ReadTraining

FORMAT = 1
RUN, TRAINING, ABLATION = "manifest.json", "training.json", "ablation.json"
OF_RUN = ("run", "role", "objective", "seed", "learning_rate", "pairs_hash")
OF_RESULT = (
    "suite",
    "group",
    "metric",
    "value",
    "low",
    "high",
    "n",
    "coverage",
    "better",
    "unit",
    "official",
    "signature",
)
OF_NO_MATTER = ("seed", "micro_batch_size", "gradient_checkpointing", "save_steps")
COLUMNS = (*OF_RUN, *OF_RESULT, "status")


def read_folders(paths: Sequence[Path]) -> Reading:
    """All runs and trainings in these folders and below them. Raises InputError for a path that is not there."""
    skipped: list[str] = []
    places = list({place.resolve(): place for path in paths for place in found_in(path, skipped)}.values())
    trainings = named([t for path in places if (t := read_training(path, skipped))])
    runs = named([run for path in places if (run := read_run(path, trainings, skipped))])
    rows = [row for run in runs for row in result_rows(run)]
    return Reading(runs, trainings, pd.DataFrame(rows, columns=list(COLUMNS)), skipped, what_differs(runs))


def found_in(path: Path, skipped: list[str]) -> Iterator[Path]:
    """The folders at or below `path` that hold a run or a training."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; expected run, training or ablation folders")
    before = 0
    for folder, below, files in os.walk(path):
        inner = (".", "checkpoint-") if TRAINING in files else "."
        below[:] = sorted(name for name in below if not name.startswith(inner))
        if {RUN, TRAINING} & set(files):
            before += 1
            yield Path(folder)
    if not before:
        skipped.append(f"{path}: holds no run ({RUN}) and no training ({TRAINING})")


def read_run(path: Path, trainings: Sequence[ReadTraining], skipped: list[str]) -> ReadRun | None:
    """The run in a folder; None, and a line in `skipped`, where it is not whole."""
    folder = RunFolder(path)
    if not folder.manifest_path.is_file():
        return None
    try:
        manifest = folder.manifest()
        if manifest.get("status") == "running":
            raise InputError(f"{path}: was not finished; go on with the command that began it")
        if not folder.results_path.is_file():
            raise InputError(f"{path}: holds responses only; score it: halbench score --responses {path} --out DIR")
        signature, model = manifest["signature"], manifest["settings"]["model"]
        if manifest["status"] != "complete":
            lacks = from_row(Coverage, manifest["coverage"], str(folder.manifest_path)).complaint()
            raise InputError(f"{path}: incomplete ({lacks})")
        results = [from_row(Result, row, str(folder.results_path)) for row in read_json(folder.results_path)]
        if not results:
            raise InputError(f"{folder.results_path}: holds no numbers; score the run again")
        suite = results[0].suite
    except InputError as error:
        skipped.append(str(error))
        return None
    except (KeyError, TypeError) as error:
        skipped.append(f"{folder.manifest_path}: not the manifest of a scored run ({type(error).__name__}: {error})")
        return None
    run = ReadRun(path.name, path, suite, signature, manifest, role_of(path))
    origin = next((training for training in trainings if made(training, path, model)), None)
    if origin is None:
        return run
    return replace(
        run,
        role="cell" if run.role == "cell" else "run",
        training=origin.path,
        objective=origin.objective,
        seed=origin.seed,
        learning_rate=origin.learning_rate,
        pairs_hash=origin.pairs_hash,
        settings=origin.settings,
    )


def role_of(path: Path) -> Any:
    """What a run is in an ablation's folder: see baselines/ablation.py for how that is laid out."""
    for above, role in ((path.parent.parent, path.parent.name), (path.parent.parent.parent, "cell")):
        if (above / ABLATION).is_file() and role in ("base", "truncated", "cell"):
            return role
    return "run"


def made(training: ReadTraining, path: Path, model: Mapping[str, Any]) -> bool:
    """Whether a run's model came from this training: by fingerprint, or by where an ablation puts both."""
    result = training.record.get("result")
    if result is not None:
        return result in (model.get("adapter"), model.get("fingerprint"))
    return training.path == path.parent / "training" and role_of(path) == "cell"


def shaping(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What shapes a training, name -> value: all but the pairs, the seed and what only trades time for memory."""
    objective = settings["objective"]
    recipe = {name: value for name, value in settings["recipe"].items() if name not in OF_NO_MATTER}
    named = {"file": objective.get("file"), "model": settings["model"], "dtype": settings["dtype"]}
    return {**recipe, **objective["config"], **named}


def read_training(path: Path, skipped: list[str]) -> ReadTraining | None:
    """The training in a folder; None, and a line in `skipped`, where it is not whole."""
    if not (path / TRAINING).is_file():
        return None
    try:
        record = read_json(path / TRAINING)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            found = record.get("format") if isinstance(record, dict) else None
            raise InputError(f"{path / TRAINING}: format {found}; this halbench reads format {FORMAT}")
        if record["status"] != "complete":
            raise InputError(f"{path}: training was not finished; go on with the command that began it")
        log = pd.DataFrame([row for _, row in read_jsonl(path / "log.jsonl", torn_tail=True)])
        recipe, objective = record["settings"]["recipe"], record["settings"]["objective"]["name"]
        pairs, settings = record["identity"]["pairs"], shaping(record["settings"])
        seed, rate = recipe["seed"], recipe["learning_rate"]
        return ReadTraining(path.name, path, objective, seed, rate, pairs, settings, record, log)
    except InputError as error:
        skipped.append(str(error))
    except (KeyError, TypeError) as error:
        skipped.append(f"{path / TRAINING}: not the record of a training ({type(error).__name__}: {error})")
    return None


def named(found: list[Any]) -> list[Any]:
    """The same with unique names: the shortest end of each path that only it has; an ablation's "run" goes by its cell."""
    parts = [[part for part in one.path.resolve().parts if part not in ("run", "training")] or ["run"] for one in found]
    names = []
    for own in parts:
        length = next(
            n for n in range(1, len(own) + 1) if sum(other[-n:] == own[-n:] for other in parts) == 1 or n == len(own)
        )
        names.append("/".join(own[-length:]))
    twice = {name for name in names if names.count(name) > 1}
    return [replace(one, name=str(one.path) if name in twice else name) for one, name in zip(found, names, strict=True)]


def result_rows(run: ReadRun) -> list[dict[str, Any]]:
    """A run's results, each with what is known of the run."""
    about = {name: getattr(run, name) for name in OF_RUN[1:]} | {"run": run.name, "status": run.manifest["status"]}
    return [{**about, **row, "suite": run.suite} for row in read_json(RunFolder(run.path).results_path)]


def what_differs(runs: Sequence[ReadRun]) -> list[str]:
    """A line for each suite with runs of several signatures, and for models that were trained on other pairs."""
    lines = []
    for suite in dict.fromkeys(run.suite for run in runs):
        sets: dict[str, list[ReadRun]] = {}
        for run in runs:
            if run.suite == suite:
                sets.setdefault(run.signature, []).append(run)
        (first, *others) = sets.values()
        for other in others:
            fields = [one[0].manifest.get("signature_fields", {}) for one in (first, other)]
            lines.append(
                f"{suite}: {names_of(other)} cannot stand beside {names_of(first)}: {'; '.join(differing_fields(*fields))}"
            )
    pairs: dict[str, list[ReadRun]] = {}
    for run in runs:
        if run.pairs_hash:
            pairs.setdefault(run.pairs_hash, []).append(run)
    if len(pairs) > 1:
        told = "; ".join(f"{digest}: {names_of(trained)}" for digest, trained in pairs.items())
        lines.append(f"trained on other preference pairs: {told}")
    return lines


def names_of(runs: Sequence[ReadRun]) -> str:
    """Up to three names."""
    shown = ", ".join(run.name for run in runs[:3])
    return shown if len(runs) <= 3 else f"{shown} and {len(runs) - 3} more"
