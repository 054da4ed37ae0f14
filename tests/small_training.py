"""A checkpoint, preference pairs and plans that train in seconds."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tiny_checkpoints
from PIL import Image

from baselines.recipes import Recipe, TrainingPlan
from halbench.types import BackendOptions

SUBJECTS = ("a dog", "two people", "a red car", "the cup", "the fork", "a table")
PLACES = ("on the grass", "behind them", "at the table", "left of the cup", "in the image")
RECIPE = Recipe(epochs=2, batch_size=4, learning_rate=1e-3, lora_r=8, lora_alpha=16, save_steps=2, warmup_ratio=0.0)


def checkpoint(folder: Path) -> Path:
    """A tiny LLaVA that uses its context. Unlike LLaVA-1.5's own, its template ends an answer with the end token."""
    saved = tiny_checkpoints.llava(folder)
    template = folder / "chat_template.jinja"
    ended = "{{ '</s>' if m['role'] == 'assistant' else ' ' }}{% endfor %}{% if add_generation_prompt"
    text = template.read_text()
    assert " {% endfor %}{% if add_generation_prompt" in text
    template.write_text(text.replace(" {% endfor %}{% if add_generation_prompt", ended))
    return saved


def write_pairs(folder: Path, count: int = 12) -> Path:
    """Pairs of answers of 1 to 3 sentences about images of noise with a coloured patch."""
    folder.mkdir(parents=True)
    random, rows = Random(0), []
    pixels = np.random.default_rng(0)
    for number in range(count):
        noise = pixels.integers(0, 255, (40, 30 + 4 * (number % 5), 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
        chosen, rejected = (
            " ".join(
                f"There is {random.choice(SUBJECTS)} {random.choice(PLACES)}." for _ in range(random.randint(1, 3))
            )
            for _ in range(2)
        )
        rows.append(
            {
                "id": f"p{number}",
                "image": f"{number}.png",
                "prompt": "Describe this image in detail.",
                "chosen": chosen,
                "rejected": rejected + " The colour is red.",
            }
        )
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def plan(objective: str, model: Path, pairs: Path, out: Path, recipe: Recipe = RECIPE, **others: Any) -> TrainingPlan:
    """A plan for the CPU, its cache beside `out`."""
    options = BackendOptions(device="cpu", dtype="float32")
    return TrainingPlan(objective, str(model), str(pairs), out, out.parent / "cache", recipe, options=options, **others)


def log_rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
