"""The log of training, one row per step.

{"step": 3, "loss": 0.68, "text": 0.68, "margin": 0.11, "accuracy": 0.69, "logp/chosen": -11.2, "tokens/chosen": 25.9,
 "image_margin/cropped": 36.4, "grad_norm": 2.9, "learning_rate": 8e-05, "tokens_per_second": 4306.6, ...}
"""

import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from baselines.types import Loss, Scored


@torch.no_grad()
def batch_log(scored: Scored, loss: Loss, altered: Sequence[str]) -> dict[str, float]:
    """What is logged of a batch, as means over its pairs. altered: views that show other images.

    margin: how much more than the reference the policy prefers chosen to rejected. image_margin: how much likelier the
    chosen answer is under the policy with the true image than with the altered one; image_accuracy: how often it is.
    """
    policy = {view: logps.sum() for view, logps in scored.policy.items()}
    ratio = {view: scored.log_ratio(view) for view in scored.policy}
    values = {**loss.terms}
    for view, logps in scored.policy.items():
        values |= {f"logp/{view}": policy[view], f"log_ratio/{view}": ratio[view], f"tokens/{view}": logps.mask.sum(-1)}
    if "chosen" in ratio:
        for view in ratio:
            if view not in altered and view != "chosen":
                values |= {"margin": ratio["chosen"] - ratio[view], "accuracy": ratio["chosen"] > ratio[view]}
        for view in altered:
            values[f"image_margin/{view}"] = policy["chosen"] - policy[view]
            values[f"image_accuracy/{view}"] = policy["chosen"] > policy[view]
    means = torch.stack([value.float().mean() for value in values.values()]).tolist()
    return dict(zip(values, means, strict=True))


class StepLog:
    """Collects the rows of micro-batches between two rows of the log."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.ids: list[str] = []
        self.tokens = 0
        self.since = time.monotonic()

    def add(self, row: dict[str, float], ids: Sequence[str], tokens: int) -> None:
        self.rows.append(row)
        self.ids += ids
        self.tokens += tokens

    def take(self, accelerator: Any) -> dict[str, float]:
        """Means over all micro-batches and processes since the last call, speed and peak memory."""
        names = sorted({name for row in self.rows for name in row})
        means = [sum(row[name] for row in self.rows) / len(self.rows) for name in names]
        seconds = time.monotonic() - self.since
        tokens = self.tokens
        if accelerator.num_processes > 1:
            *means, tokens = accelerator.reduce(torch.tensor([*means, tokens], device=accelerator.device)).tolist()
            means = [total / accelerator.num_processes for total in means]
        self.rows, self.ids, self.tokens, self.since = [], [], 0, time.monotonic()
        return {
            **dict(zip(names, means, strict=True)),
            "tokens_per_second": tokens / seconds,
            "peak_memory_gb": peak_memory(),
        }


def peak_memory() -> float:
    """Most memory used so far, in GB: of the GPU if there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e9
