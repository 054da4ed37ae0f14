"""A checkpoint, preference pairs and plans that train in seconds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_checkpoints
import torch
from PIL import Image
from safetensors.torch import load_file

from baselines.training import trainer
from baselines.training.recipes import Recipe, TrainingPlan
from halbench.types import BackendOptions

CPU = BackendOptions(device="cpu", dtype="float32")
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


def write_pairs(folder: Path, count: int = 12, images: int = 1, rejected_images: bool = False) -> Path:
    """Pairs of answers of 1 to 3 sentences about images of noise. images: of each pair. rejected_images: the next pair's."""
    folder.mkdir(parents=True)
    random, rows = Random(0), []
    pixels = np.random.default_rng(0)
    for number in range(count):
        names = [f"{number}{index or ''}.png" for index in range(images)]
        for name in names:
            noise = pixels.integers(0, 255, (40, 30 + 4 * (number % 5), 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / name)
        chosen, rejected = (
            " ".join(
                f"There is {random.choice(SUBJECTS)} {random.choice(PLACES)}." for _ in range(random.randint(1, 3))
            )
            for _ in range(2)
        )
        rows.append(
            {
                "id": f"p{number}",
                "images": names,
                "prompt": "Describe this image in detail.",
                "chosen": chosen,
                "rejected": rejected + " The colour is red.",
                **({"rejected_images": [f"{(number + 1) % count}.png"]} if rejected_images else {}),
            }
        )
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def plan(objective: str, model: Path, pairs: Path, out: Path, recipe: Recipe = RECIPE, **others: Any) -> TrainingPlan:
    """A plan for the CPU, its cache next to `out`."""
    return TrainingPlan(
        objective, str(model), str(pairs), out, out.parent / "cache", recipe=recipe, options=CPU, **others
    )


def log_rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def adapter_weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "adapter_model.safetensors")


def largest_difference(one: Path, other: Path) -> float:
    """Between the adapters' weights of two trainings."""
    first, second = adapter_weights(one), adapter_weights(other)
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@contextmanager
def interrupt_after(step: int) -> Iterator[None]:
    """Training is interrupted, as by Ctrl-C, at the end of this step."""

    def stop(self: Any, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step >= step:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.ProgressCallback, "on_step_end", stop)
        yield


OBJECTIVE = """
from dataclasses import dataclass
from baselines.types import Loss

VIEWS = ("chosen", "rejected")

@dataclass(frozen=True)
class Config:
    start: float = 0.0

def loss(scored, config):
    margin = scored.log_ratio("chosen") - scored.log_ratio("rejected")
    return Loss(EXPRESSION, {})

def loss_at_start(config):
    return config.start
"""


def own_objective(folder: Path, expression: str = "-margin") -> str:
    """The path of an objective of one's own with this loss per pair."""
    path = folder / "own.py"
    path.write_text(OBJECTIVE.replace("EXPRESSION", expression))
    return str(path)
