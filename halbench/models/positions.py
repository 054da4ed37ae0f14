"""Positions of tokens in models whose image tokens have three axes: time, height and width (Qwen2-VL and its successors)."""

import inspect
from collections.abc import Mapping

import torch
from transformers import PreTrainedModel


def image_axes(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """Positions [3, B, T] of prompts with their images, by the model's own rule; None for a model with plain positions.

    Text advances every axis by one a token, from one beyond the largest position before it.
    """
    rule = getattr(getattr(model, "model", None), "get_rope_index", None)
    if rule is None:
        return None
    accepted = inspect.signature(rule).parameters
    axes: torch.Tensor
    axes, _ = rule(**{name: value for name, value in inputs.items() if name in accepted})
    return axes
