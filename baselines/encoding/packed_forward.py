"""Log-probs of response tokens from one forward pass over images, prompt and all answers that share them.

A packed sequence is  images prompt | chosen | rejected | ...  A block mask lets each answer see the prefix and itself,
and positions start again behind the prefix, so each answer gets what it would get alone; images and prompt are read
once. Only the hidden states that predict response tokens reach the LM head, in chunks, so that logits of a whole batch
never exist.

    as_scoring_model(model)                                     # model(predictors=...) returns Tokens instead of logits
    tokens = model(**collate(sequences, pad_id, packed))
    split_by_view(tokens.logp, token_positions(examples))       # {"chosen": Logps, "rejected": Logps, ...}

Verified families: LLaVA-1.5, LLaVA-NeXT, Idefics3, SmolVLM, Qwen2-VL. Other model types run unpacked.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from baselines.types import Logps
from halbench.errors import InputError

# Model types whose packed and plain forwards are compared in tests/baselines/encoding/test_packed_forward.py. Others take
# the plain path: each answer has a sequence of its own.
PACKED = ("llava", "llava_next", "idefics3", "smolvlm", "qwen2_vl")
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


def block_mask(branch: torch.Tensor) -> torch.Tensor:
    """Which token may attend to which: branch [R, L] (0 = prefix, padding) -> bool [R, 1, L, L].

    Padding counts as prefix; as it comes last, nothing attends to it, and it attends to something itself.
    """
    length = branch.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=branch.device).tril()
    same = branch[:, :, None] == branch[:, None, :]
    return (causal & (same | (branch == 0)[:, None, :]))[:, None]


def attention_mask(model: Any, branch: torch.Tensor) -> torch.Tensor:
    """The block mask as the model's attention takes it: boolean for sdpa, added to the scores for eager."""
    allowed = block_mask(branch)
    kind = model.config.get_text_config()._attn_implementation
    if kind == "sdpa":
        return allowed
    if kind == "eager":
        return torch.zeros_like(allowed, dtype=model.dtype).masked_fill(~allowed, torch.finfo(model.dtype).min)
    raise InputError(f"attention '{kind}' does not support a block mask; load the model with sdpa or eager attention")


def positions(model: Any, inputs: Mapping[str, torch.Tensor], shift: torch.Tensor) -> torch.Tensor:
    """Position ids [R, L], or [3, R, L] for models whose image tokens have three axes.

    Text advances every axis by one a token, so a branch goes back by as many positions as there are tokens between it
    and the prefix.
    """
    if not hasattr(model.model, "get_rope_index"):
        return torch.arange(shift.shape[1], device=shift.device) - shift
    names = ("input_ids", "attention_mask", "image_grid_thw", "mm_token_type_ids")
    axes: torch.Tensor
    axes, _ = model.model.get_rope_index(**{name: inputs[name] for name in names if name in inputs})
    return axes - shift


def as_scoring_model(model: Any) -> Any:
    """The model itself, whose forward now also takes what `collate` returns, and then returns Tokens.

    The forward is replaced on the object rather than wrapped in a module: PEFT, DDP, FSDP and the Trainer's saving keep
    seeing the model they know, and gradients are synchronised because the call passes through all of them. Any other
    call, such as generate()'s, gets the original forward.
    """
    head, original = model.get_output_embeddings(), model.forward

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
    if branch is not None and shift is not None:
        arguments["position_ids"] = positions(model, inputs, shift)
        arguments["attention_mask"] = attention_mask(model, branch)
    hidden = model.model(**arguments, use_cache=False).last_hidden_state
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
