"""The README.md of a checkpoint: what it is, how it was trained, and its results."""

from dataclasses import dataclass, fields
from pathlib import Path

import torch
import transformers

from halbench.backends.hf import open_backend
from halbench.data.datasets import Data
from halbench.evaluation.evaluate import Evaluation, evaluate
from halbench.files.records import as_json
from halbench.judging.judgements import NO_JUDGEMENTS
from halbench.scenes.world import WORLD
from halbench.scenes_tools.training import Recipe
from halbench.suites.scenes import SUITE, Options, load
from halbench.terminal.formatting import format_interval, format_value
from halbench.types import BackendOptions

TEXT = """# A tiny LLaVA for the embedded world of halbench

{weights:,} weights in bfloat16, trained from scratch on a CPU. It describes drawn scenes of {side}x{side} pixels and answers
questions about them, and mentions partners of what it sees (a knife next to a fork) whether they are in the image or not, as
its training captions do. It is made for trying out benchmarks, losses and reports on a laptop, and for nothing else.

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

folder = "..."  # of the shipped one: halbench.scenes.checkpoint_path("scenes:base")
model = AutoModelForImageTextToText.from_pretrained(folder)
processor = AutoProcessor.from_pretrained(folder)
```

or `halbench run --model scenes:base --suite scenes`. Licence: that of halbench.

## Recipe

`halbench scenes train --out DIR --seed {seed}` trains it again. The training of this one took {seconds:.0f} seconds
({threads} threads, {versions}). From the features of the vision tower alone, class and colour of {sight:.1%} of the objects in
unseen scenes are read correctly.

{recipe}

## Results

Suite `scenes`, greedy decoding, value and 95 % interval over images. Relations are at chance, because the features of the
vision tower hardly contain positions.

| group | metric | value | 95% interval | n |
|---|---|---:|---:|---:|
{results}

`{signature}`
"""


@dataclass(frozen=True)
class TrainingSummary:
    """How a checkpoint was trained. sight: share of objects whose class and colour are read correctly from its features."""

    recipe: Recipe
    seconds: float
    sight: float
    weights: int


def measure(checkpoint: Path, data: Data, scenes: int = 1000) -> Evaluation:
    """The checkpoint's results on the suite, in float32 on the CPU."""
    task = load(data, Options(scenes=scenes), None)
    backend = open_backend(str(checkpoint), BackendOptions(batch_size=64, dtype="float32", device="cpu"))
    return evaluate(SUITE, task, list(backend.generate(task.items, SUITE.decoding)), SUITE.decoding, NO_JUDGEMENTS)


def model_card(making: TrainingSummary, evaluation: Evaluation) -> str:
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
