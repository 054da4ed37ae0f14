"""The README.md of a checkpoint: what it is, how it was made, and what it scores."""

from dataclasses import dataclass, fields
from pathlib import Path

import torch
import transformers

from halbench.backends.hf import open_backend
from halbench.datasets import Data
from halbench.evaluation import NO_VERDICTS, Evaluation, evaluate
from halbench.formatting import format_interval, format_value
from halbench.records import as_json
from halbench.scenes.training import Recipe
from halbench.suites.scenes import SUITE, WORLD, Options, load
from halbench.types import BackendOptions

TEXT = """# A tiny LLaVA for the embedded world of halbench

{weights:,} weights in bfloat16, trained from nothing on a CPU. It describes drawn scenes of {side}x{side} pixels and answers
questions about them, and names partners of what it sees (a knife beside a fork) whether they are there or not: its training
captions do so too. It is made for trying out benchmarks, losses and reports on a laptop, and for nothing else.

```python
from transformers import AutoModelForImageTextToText, AutoProcessor
```

or `halbench run --model scenes:base --suite scenes`. Licence: that of halbench.

## Recipe

`halbench scenes train --out DIR --seed {seed}` makes it again, in {seconds:.0f} seconds on the machine that made this one
({threads} threads, {versions}). Of the objects in unseen scenes the vision tower alone read class and colour of {sight:.1%} rightly.

{recipe}

## Results

Suite `scenes`, greedy, value and 95 % interval over images. Relations are answered by chance: what the vision tower passes on
hardly tells where a thing is.

| group | metric | value | 95% interval | n |
|---|---|---:|---:|---:|
{results}

`{signature}`
"""


@dataclass(frozen=True)
class Making:
    """How a checkpoint came about. sight: share of objects whose class and colour the vision tower reads rightly."""

    recipe: Recipe
    seconds: float
    sight: float
    weights: int


def measure(checkpoint: Path, data: Data, scenes: int = 1000) -> Evaluation:
    """The checkpoint's results on the suite, in float32 on the CPU."""
    task = load(data, Options(scenes=scenes), None)
    backend = open_backend(str(checkpoint), BackendOptions(batch_size=64, dtype="float32", device="cpu"))
    return evaluate(SUITE, task, list(backend.generate(task.items, SUITE.decoding)), SUITE.decoding, NO_VERDICTS)


def model_card(making: Making, evaluation: Evaluation) -> str:
    """The card as Markdown."""
    recipe = making.recipe
    return TEXT.format(
        weights=making.weights,
        side=WORLD.pixels,
        seed=recipe.seed,
        seconds=making.seconds,
        threads=torch.get_num_threads(),
        versions=f"torch {torch.__version__}, transformers {transformers.__version__}",
        sight=making.sight,
        recipe="\n".join(f"- {field.name}: {as_json(getattr(recipe, field.name))}" for field in fields(recipe)),
        results="\n".join(
            f"| {row.group} | {row.metric} | {format_value(row.value, row.unit)} "
            f"| {format_interval(row.low, row.high, row.unit)} | {row.n} |"
            for row in evaluation.results
        ),
        signature=evaluation.signature,
    )
