"""Attention for several answers behind one prefix: each sees the prefix and itself, at the positions it would have alone.

    tokens    <image> ? | Yes . | No .          branch  0 0 | 1 1 | 2 2
    position     0    1 |  2  3 |  2 3          shift   0 0 | 0 0 | 2 2

The mask is the model's own (causal, sliding window, image tokens that see each other), asked for the positions that tokens
would have alone. transformers makes masks by the name of a config's attention; the text model gets a name of ours, whose
mask adds the branches while `packing` is active, and is plain sdpa otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import causal_mask_function, sdpa_mask

PACKED_SDPA = "halbench_packed_sdpa"
MaskFunction = Callable[[Any, Any, Any, Any], Any]

layout: ContextVar[tuple[torch.Tensor, torch.Tensor] | None] = ContextVar("layout", default=None)
"""(branch, shift) [R, L] of the batch in the forward pass; see collation.Layout."""


@contextmanager
def packing(branch: torch.Tensor, shift: torch.Tensor) -> Iterator[None]:
    """While active, masks of packing models keep the branches of a batch apart."""
    token = layout.set((branch, shift))
    try:
        yield
    finally:
        layout.reset(token)


def in_branches(mask_function: MaskFunction, branch: torch.Tensor, shift: torch.Tensor) -> MaskFunction:
    """A mask function over the tokens of packed rows, from one over the tokens of whole sequences: (row, head, query, key)
    -> may the query attend to the key. All answers are text, so that any of them may stand for the one in its place."""

    def visible(row: Any, head: Any, query: Any, key: Any) -> Any:
        of_key = branch[row, key]
        inside = (of_key == branch[row, query]) | (of_key == 0)
        return inside & mask_function(row, head, query - shift[row, query], key - shift[row, key])

    return visible


def packed_mask(*sizes: Any, mask_function: MaskFunction = causal_mask_function, **others: Any) -> torch.Tensor | None:
    """transformers' sdpa_mask, with the branches of the batch that is being packed, if any."""
    if (packed := layout.get()) is not None:
        mask_function = in_branches(mask_function, *packed)
        others["allow_is_causal_skip"] = False
    mask: torch.Tensor | None = sdpa_mask(*sizes, mask_function=mask_function, **others)
    return mask


AttentionInterface.register(PACKED_SDPA, sdpa_attention_forward)
AttentionMaskInterface.register(PACKED_SDPA, packed_mask)


def let_pack(model: Any) -> None:
    """Give the text model of a model with sdpa attention the attention that can pack. Others are left as they are."""
    for config in (model.config.get_text_config(), model.get_decoder().config):
        if config._attn_implementation == "sdpa":
            config._attn_implementation = PACKED_SDPA


def attention_problem(model: Any) -> str | None:
    """Why a model's attention cannot keep branches apart; None if it can."""
    kind = model.config.get_text_config()._attn_implementation
    return None if kind == PACKED_SDPA else f"attention '{kind}' does not support a block mask"
