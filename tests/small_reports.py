"""Run and training folders small enough to be made in a second: scenes, described from their truth with chosen faults."""

import json
from pathlib import Path
from typing import Any

from halbench.datasets import open_data
from halbench.evaluation import load_suite, score_stored
from halbench.records import write_json

SCENES = 24
PAIRS = "0123456789ab"


def run(folder: Path, faulty: int, scenes: int = SCENES, text: str = "") -> Path:
    """A scored run of the scenes suite in which the first `faulty` descriptions name an absent partner; all answers say yes."""
    data = open_data(folder.parent / "data")
    suite = load_suite("scenes")
    task = suite.load(data, suite.options(scenes=scenes), None)
    rows = []
    for item in task.items:
        said = "Yes."
        if item.group == "description":
            place = int(item.id.split("/")[0])
            named = [*item.truth["present"], *(item.truth["absent_partners"][:1] if place < faulty else [])]
            said = f"There is a {' and a '.join(named)}.{text}"
        rows.append({"id": item.id, "response": said})
    folder.mkdir(parents=True, exist_ok=True)
    source = folder.parent / f"{folder.name}.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder.rmdir()
    score_stored("scenes", [f"scenes={scenes}"], data, source, out=folder)
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
    record: dict[str, Any] = {"format": 1, "status": "complete", "settings": settings, "identity": {"pairs": pairs}}
    write_json(folder / "training.json", record | ({"result": result} if result else {}))
    return folder


def ablation(folder: Path) -> Path:
    """Base, truncation control, and two objectives with two seeds each."""
    folder.mkdir(parents=True)
    write_json(folder / "ablation.json", {"format": 1, "status": "complete"})
    run(folder / "base" / "run", 18)
    run(folder / "truncated" / "run", 15)
    for objective, faults in (("dpo", (3, 5)), ("mdpo", (0, 2))):
        for seed, faulty in enumerate(faults):
            cell = folder / "cells" / f"{objective}-lr0.0002-seed{seed}"
            training(cell / "training", objective, seed)
            run(cell / "run", faulty)
    return folder
