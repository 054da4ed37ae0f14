"""Logits of single hidden states by a model's own forward: its LM head and whatever follows it, such as a scale or a soft cap.

    logits = own_logits(model, forward, states)      # states [N, H] -> [N, V]

The model's forward runs with a stand-in for its body that returns the states, so that no list of families, and no reading
of their configs, is needed.
"""

from collections.abc import Callable
from typing import Any

import torch


class States:
    """The output of a model's body: the hidden states [1, N, H], and None for everything else that may be asked of it."""

    def __init__(self, hidden: torch.Tensor) -> None:
        self.last_hidden_state = hidden

    def __getitem__(self, index: int) -> torch.Tensor:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def own_logits(model: Any, forward: Callable[..., Any], states: torch.Tensor) -> torch.Tensor:
    """Logits [N, V] of hidden states [N, H]. forward: the model's own."""
    attributes = vars(model)  # found before the submodule of the same name
    attributes[model.base_model_prefix] = lambda *_, **__: States(states[None])
    try:
        logits: torch.Tensor = forward(input_ids=states.new_zeros((1, len(states)), dtype=torch.long)).logits
    finally:
        del attributes[model.base_model_prefix]
    return logits[0]
