"""An experiment of one training step a cell, as a file and as a command."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SMALL = """
model: scenes:base
pairs: {pairs: 8, samples: 4}
suite: {name: scenes, options: {scenes: 6}}
recipe: {batch_size: 8, max_steps: 1, lora_r: 8, weight_decay: 0.0}
objectives: {OBJECTIVES}
seeds: SEEDS
learning_rates: [1e-4]
columns: [descriptions/chair, questions/accuracy]
"""


def write_experiment(folder: Path, objectives: str = "dpo: ", seeds: str = "[0]", text: str = SMALL) -> Path:
    """The file of an experiment with these objectives and seeds, as YAML."""
    path = folder / "small.yaml"
    path.write_text(text.replace("OBJECTIVES", objectives).replace("SEEDS", seeds))
    return path


def run_ablation(experiment: Path, out: Path, *others: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(ablate_command(experiment, out, *others), capture_output=True, text=True, timeout=1800)


def ablate_command(experiment: Path, out: Path, *others: str) -> list[str]:
    cache = ["--cache", str(out.parent / "cache")]
    return [sys.executable, "-m", "halbench", "ablate", str(experiment), "--out", str(out), *cache, *others]


def ablation_record(out: Path) -> dict[str, Any]:
    return json.loads((out / "ablation.json").read_text())
