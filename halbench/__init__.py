"""halbench: hallucination benchmarks for vision-language models. Importing it loads nothing and needs no torch.

What `halbench.score(...)` and the like are is in halbench/api.py, which is imported with its first use.
"""

from importlib import import_module
from typing import Any

from halbench.broken_torchvision import hide_broken_torchvision

__version__ = "0.2.0"

API = ("Run", "Comparison", "GateResult", "score", "run", "run_suites", "load", "compare", "gate", "report")
HOMES = dict.fromkeys(API, "halbench.api") | {"InputError": "halbench.errors", "Reasoning": "halbench.reasoning"}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'halbench' has no attribute '{name}'")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *HOMES])


hide_broken_torchvision()
