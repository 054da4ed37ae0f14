"""log.jsonl in a training folder: what `halbench train` logs, one row per step.

{"step": 3, "loss": 0.68, "text": 0.68, "margin": 0.11, "accuracy": 0.69, "logp/chosen": -11.2, "tokens/chosen": 25.9,
 "image_margin/cropped": 36.4, "grad_norm": 2.9, "learning_rate": 8e-05, "tokens_per_second": 4306.6, ...}

A quantity that exists for each view is logged as NAME/VIEW. Columns that are not listed here are terms of the objective's loss.
"""

from collections.abc import Iterable, Mapping

TITLES: Mapping[str, str] = {
    "margin": "Margin, chosen − rejected (nats)",
    "accuracy": "Pairs in the right order (share, ↑)",
    "logp/chosen": "Log-prob of chosen (nats)",
    "logp/rejected": "Log-prob of rejected (nats)",
    "image_margin": "Image margin, true − altered (nats, ↑)",
    "tokens/chosen": "Length of chosen (tokens)",
    "kl": "KL to the reference (nats a token)",
    "online/reward": "Reward of sampled answers (0 to 1.5, ↑)",
    "grad_norm": "Gradient norm",
    "tokens_per_second": "Throughput (tokens/s)",
    "peak_memory_gb": "Peak memory (GB)",
}
"""Quantities that trainings are compared by -> their titles. "image_margin" stands for all of its views."""
OTHERS = ("step", "epoch", "loss", "learning_rate", "logp", "log_ratio", "tokens", "image_accuracy", "online")
"""What else is logged for every objective."""

RESERVED = (*OTHERS, "image_margin", "grad_norm", "tokens_per_second", "peak_memory_gb")
"""What no objective can log: it would overwrite these."""


def columns_of(logged: Iterable[str], name: str) -> list[str]:
    """The logged columns of a quantity: its own, or one per view."""
    return [column for column in logged if column == name or column.startswith(f"{name}/")]


def loss_terms(logged: Iterable[str]) -> list[str]:
    """The logged columns that are terms of the objective's loss."""
    logged = list(logged)
    known = {column for name in (*TITLES, *OTHERS) for column in columns_of(logged, name)}
    return [column for column in logged if column not in known]
