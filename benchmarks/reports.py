"""Seconds, memory and page size of `halbench report all` over 30 AMBER runs of 15,220 responses, as one process.

    HALBENCH_DATA=... python benchmarks/reports.py --rounds 3 --out benchmarks/results/reports.json

Two folders of the same stored responses: thirty separate runs, and an ablation of 7 objectives x 4 seeds with its controls, in
which every objective is tested against the base. In each run other answers are flipped at random, so that no two are alike.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scoring import measure

RUNS = 30
ALLOWED = {"seconds": 30, "mb": 2000, "page_mb": 20}
OBJECTIVES = ("dpo", "mdpo", "mfpo", "mbpo", "dpo_anchor", "sft", "own")
SEEDS = 4


def responses(source: Path, seed: int) -> str:
    """The stored answers with a tenth of all yes and no flipped."""
    rows = json.loads(source.read_text("utf-8"))
    random_number = random.Random(seed).random
    opposite = {"Yes": "No", "No": "Yes"}
    return json.dumps(
        [
            row | {"response": opposite[row["response"]]}
            if row["response"] in opposite and random_number() < 0.1
            else row
            for row in rows
        ]
    )


def score(source: Path, folder: Path, seed: int) -> None:
    """A scored run folder of one variant."""
    stored = folder.with_suffix(".json")
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text(responses(source, seed), "utf-8")
    command = ["score", "--suite", "amber", "--responses", str(stored), "--out", str(folder)]
    subprocess.run([sys.executable, "-m", "halbench", *command], check=True, stdout=subprocess.DEVNULL)
    stored.unlink()


def runs(root: Path) -> Iterator[tuple[Path, Path]]:
    """(folder of the run alone, folder of the run in the ablation) for all thirty."""
    yield root / "runs/model_0", root / "ablation/base/run"
    yield root / "runs/model_1", root / "ablation/truncated/run"
    cells = [(objective, seed) for objective in OBJECTIVES for seed in range(SEEDS)]
    for number, (objective, seed) in enumerate(cells, 2):
        yield root / f"runs/model_{number}", root / f"ablation/cells/{objective}-lr0.0001-seed{seed}/run"


def training(folder: Path, objective: str, seed: int) -> None:
    """The files of `halbench train` that reports read, for 300 steps."""
    folder.mkdir(parents=True)
    steps = [{"step": step, "loss": 0.7 / step, "margin": 0.01 * step, "grad_norm": 1.0} for step in range(1, 301)]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in steps))
    settings = {"objective": {"name": objective, "config": {}}, "recipe": {"seed": seed, "learning_rate": 1e-4}}
    settings |= {"model": "weights", "dtype": "auto"}
    record = {"format": 1, "status": "complete", "settings": settings, "identity": {"pairs": "0123456789ab"}}
    (folder / "training.json").write_text(json.dumps(record))


def prepare(root: Path, source: Path) -> None:
    for number, (alone, cell) in enumerate(runs(root)):
        score(source, alone, number)
        shutil.copytree(alone, cell)
        if cell.parent.parent.name == "cells":
            objective, _, seed = cell.parent.name.split("-")
            training(cell.parent / "training", objective, int(seed.removeprefix("seed")))
    (root / "ablation/ablation.json").write_text(json.dumps({"format": 1, "status": "complete"}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    source = Path(os.environ["HALBENCH_DATA"]) / "responses/amber/all_model_c.json"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root, source)
        folders = {
            "runs": [str(path) for path in sorted((root / "runs").iterdir())],
            "ablation": [str(root / "ablation")],
        }
        timed: dict[str, list[tuple[float, float]]] = {name: [] for name in folders}
        for _ in range(options.rounds):
            for name, paths in folders.items():
                timed[name].append(measure(["report", "all", *paths, "-o", str(root / "out" / name)]))
        changes = (root / "out/ablation/ablation_amber_change.md").read_text().replace("\\", "")
        assert all(objective in changes for objective in OBJECTIVES), "every objective is tested against the base"
        rows = {
            name: {
                "median_s": round(statistics.median(run[0] for run in measured), 1),
                "peak_mb": round(max(run[1] for run in measured)),
                "page_mb": round((root / "out" / name / "report.html").stat().st_size / 2**20, 1),
            }
            for name, measured in timed.items()
        }
    record = {"responses_per_run": 15220, "runs": RUNS, "allowed": ALLOWED, "rounds": options.rounds,
              "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "reports": rows}  # fmt: skip
    print(json.dumps(record, indent=1))
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
