"""Log-probs of response tokens from one forward pass over images, prompt and all answers that share them.

A packed sequence is  images prompt | chosen | rejected | ...  Each answer sees the prefix and itself, at the positions
that it would have alone (packed_attention.py), so each gets what it would get alone; images and prompt are read once. Only
the hidden states that predict response tokens reach the LM head, in chunks, so that logits of a whole batch never exist.

    as_scoring_model(model)                                     # model(predictors=...) returns Tokens instead of logits
    tokens = model(**collate(sequences, pad_id, packed))
    split_by_view(tokens.logp, token_positions(examples))       # {"chosen": Logps, "rejected": Logps, ...}

Which models can be packed is tried on the first pairs of each training (training/preflight.py); others run unpacked.
"""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from baselines.encoding.own_head import own_logits
from baselines.encoding.packed_attention import let_pack, packing
from baselines.types import Logps
from halbench.models.positions import image_axes

CHUNK = 1024  # response tokens through the LM head at once: 131 MB of float32 logits at 32,000 entries


class Tokens(NamedTuple):
    """Of N response tokens: log-prob and, without gradient, entropy of the distribution they were drawn from, in
    nats."""

    logp: torch.Tensor
    entropy: torch.Tensor


def token_logps(logits: torch.Tensor, targets: torch.Tensor) -> Tokens:
    """logits [N, V], targets [N] -> [N], at least in float32."""
    logps = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
    with torch.no_grad():
        entropy = -(logps.exp() * logps).sum(-1)
    return Tokens(logps.gather(-1, targets[:, None])[:, 0], entropy)


def head_tokens(head: Any, hidden: torch.Tensor, targets: torch.Tensor, chunk: int = CHUNK) -> Tokens:
    """The LM head on hidden states [N, H] in chunks; logits are computed again in the backward pass, never kept."""

    def scored(states: torch.Tensor, ids: torch.Tensor) -> Tokens:
        return token_logps(head(states), ids)

    pieces = [
        checkpoint(scored, states, ids, use_reentrant=False) if hidden.requires_grad else scored(states, ids)
        for states, ids in zip(torch.split(hidden, chunk), torch.split(targets, chunk), strict=True)
    ]
    return Tokens(torch.cat([piece.logp for piece in pieces]), torch.cat([piece.entropy for piece in pieces]))


def positions(model: Any, inputs: Mapping[str, torch.Tensor], shift: torch.Tensor) -> torch.Tensor:
    """Position ids [R, L], or [3, R, L] for models whose image tokens have three axes.

    Text advances every axis by one a token, so a branch goes back by as many positions as there are tokens between it
    and the prefix.
    """
    axes = image_axes(model, inputs)
    return (torch.arange(shift.shape[1], device=shift.device) if axes is None else axes) - shift


def as_scoring_model(model: Any) -> Any:
    """The model itself, whose forward now also takes what `collate` returns, and then returns Tokens.

    The forward is replaced on the object rather than wrapped in a module: PEFT, DDP, FSDP and the Trainer's saving keep
    seeing the model they know, and gradients are synchronised because the call passes through all of them. Any other
    call, such as generate()'s, gets the original forward.
    """
    original = model.forward
    let_pack(model)

    def head(states: torch.Tensor) -> torch.Tensor:
        return own_logits(model, original, states)

    def forward(*arguments: Any, predictors: torch.Tensor | None = None, **named: Any) -> Any:
        if predictors is None:
            return original(*arguments, **named)
        return response_tokens(model, head, predictors, **named)

    forward.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]  # generate() looks at it
    model.forward = forward
    return model


def response_tokens(
    model: Any,
    head: Any,
    predictors: torch.Tensor,
    inputs: Mapping[str, torch.Tensor],
    targets: torch.Tensor,
    branch: torch.Tensor | None = None,
    shift: torch.Tensor | None = None,
) -> Tokens:
    """Log-probs and entropies of the response tokens of a batch; for the arguments see collation.Layout."""
    arguments = as_floats(inputs, model.dtype)
    apart: AbstractContextManager[None] = nullcontext()
    if branch is not None and shift is not None:
        arguments["position_ids"] = positions(model, inputs, shift)
        apart = packing(branch, shift)
    with apart:
        hidden = model.base_model(**arguments, use_cache=False).last_hidden_state
    return head_tokens(head, hidden.flatten(0, 1)[predictors], targets)


def as_floats(inputs: Mapping[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Inputs with their floating-point tensors (pixels) in the model's type."""
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}


def split_by_view(values: torch.Tensor, token_positions: Mapping[str, Sequence[torch.Tensor]]) -> dict[str, Logps]:
    """View -> Logps, from the N values of a batch and where each view's tokens are in it
    (collation.token_positions)."""
    return {
        view: Logps(torch.where(mask, values[index], values.new_zeros(())), mask)
        for view, (index, mask) in token_positions.items()
    }
