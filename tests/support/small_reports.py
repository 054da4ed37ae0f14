"""Run and training folders small enough to be made in a second: runs of scenes and of a user's own suite with chosen faults."""

import json
from pathlib import Path
from typing import Any

import plates_suite
from stored import jsonl, score

from halbench.data.datasets import Data, open_data
from halbench.evaluation.suites import load_suite
from halbench.files.records import write_json
from halbench.statistics.resampling import Resampling
from reports.types import Options

FEW = Options(resampling=Resampling(n_resamples=200))
PLATES_SUITE = plates_suite.__file__
SCENES = 24
PAIRS = "0123456789ab"
ABLATION = {
    "format": 1,
    "status": "complete",
    "settings": {"model": {}, "pairs": {"source": "pairs"}, "suite": {}, "limit": None},
    "cells": {},
}


def run(folder: Path, faulty: int, scenes: int = SCENES, text: str = "", missing: int = 0, thought: str = "") -> Path:
    """A scored run of the scenes suite in which the first `faulty` descriptions name an absent partner and the last `missing`
    scenes lack all answers; all answers say yes. text: behind every description; thought: before it."""
    data = open_data(folder.parent / "data")
    suite = load_suite("scenes")
    task = suite.load(data, suite.options(scenes=scenes), None)
    rows = []
    for item in task.items:
        if int(item.id.split("/")[0]) >= scenes - missing:
            continue
        answer = "Yes."
        if item.group == "description":
            number = int(item.id.split("/")[0])
            named = [*item.truth["present"], *(item.truth["absent_partners"][:1] if number < faulty else [])]
            answer = f"{thought}There is a {' and a '.join(named)}.{text}"
        rows.append({"id": item.id, "response": answer})
    folder.parent.mkdir(parents=True, exist_ok=True)
    source = jsonl(folder.parent / f"{folder.name}.jsonl", rows)
    score("scenes", source, data, f"scenes={scenes}", out=folder)
    return folder


def plates_run(folder: Path, data: Path, invented: int, named: int = 3) -> Path:
    """A scored run of the suite in plates_suite.py: its first `invented` lists add a food, all name `named` of the true ones;
    an odd plate's pick is wrong."""
    rows = []
    for plate in range(plates_suite.PLATES):
        foods = plates_suite.foods_on(plate)
        added = [food for food in plates_suite.FOODS if food not in foods][:1] if plate < invented else []
        rows.append({"id": f"{plate}/list", "response": " ".join([*foods[:named], *added])})
        rows.append({"id": f"{plate}/pick", "response": foods[plate % 2]})
    folder.parent.mkdir(parents=True, exist_ok=True)
    source = jsonl(folder.parent / f"{folder.name}.jsonl", rows)
    score(PLATES_SUITE, source, Data(data), out=folder)
    return folder


def plates_ablation(folder: Path) -> Path:
    """A base and one trained model on the suite in plates_suite.py; its data are in the folder "data"."""
    from PIL import Image

    for name, colour in (("left/plate.png", "red"), ("right/plate.png", "blue"), ("one.png", "green")):
        path = folder / "data/plates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), colour).save(path)
    write_json(folder / "ablation.json", ABLATION)
    plates_run(folder / "base/run", folder / "data", 16)
    cell = folder / "cells/dpo-lr0.0002-seed0"
    training(cell / "training", "dpo", 0)
    plates_run(cell / "run", folder / "data", 2, named=2)
    return folder


def training(folder: Path, objective: str, seed: int, pairs: str = PAIRS, result: str | None = None) -> Path:
    """What `halbench train` leaves, as far as reports read it: 12 steps of a loss that falls."""
    folder.mkdir(parents=True)
    steps = [
        {"step": step, "loss": 0.7 / step + 0.01 * seed, "text": 0.7 / step, "margin": 0.1 * step, "logp/chosen": -10.0 - step,
         "tokens/chosen": 25.0, "grad_norm": 1.0, "tokens_per_second": 4000.0, "peak_memory_gb": 0.5}
        for step in range(1, 13)
    ]  # fmt: skip
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in steps))
    settings = {"objective": {"name": objective, "config": {}}, "recipe": {"seed": seed, "learning_rate": 2e-4}}
    settings |= {"model": "base", "dtype": "auto"}
    identity = {"pairs": pairs, "used": 8, "dropped": [], "unreadable": 0, "seed": seed, "order": ["ab"], "views": {}}
    identity |= {"model": "base", "reference": "77aa"}
    record: dict[str, Any] = {"format": 1, "status": "complete", "settings": settings, "identity": identity}
    record |= {"steps": 12, "seconds": 1.0}
    write_json(folder / "training.json", record | ({"result": result} if result else {}))
    return folder


def ablation(folder: Path) -> Path:
    """Base, truncation control, and two objectives with two seeds each."""
    folder.mkdir(parents=True)
    write_json(folder / "ablation.json", ABLATION)
    run(folder / "base" / "run", 18)
    run(folder / "truncated" / "run", 15)
    for objective, faults in (("dpo", (3, 5)), ("mdpo", (0, 2))):
        for seed, faulty in enumerate(faults):
            cell = folder / "cells" / f"{objective}-lr0.0002-seed{seed}"
            training(cell / "training", objective, seed)
            run(cell / "run", faulty)
    return folder
