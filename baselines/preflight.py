"""Checks before and while training that stop it with an explanation, rather than train on nonsense."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from baselines.collation import Example, collate, on_device
from baselines.logprobs import as_floats, token_logps
from baselines.types import Loss, Scored
from halbench.errors import InputError

# How far a log-ratio may lie from 0 at the start, in nats per response token, and a loss from its known value. Policy and
# reference run in batches of other shapes, which moves float32 sums by about 1e-5 and bfloat16 ones by about 1e-2.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.02}
LOSS_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.02}


def check_examples(examples: Sequence[Example], image_token: int | None) -> None:
    """Every answer has tokens, every prompt has the image's, and no answer has one."""
    for example in examples:
        for sequence in example.sequences:
            prompt = sequence.inputs["input_ids"][0]
            views = ", ".join(branch.view for branch in sequence.branches)
            if image_token is not None and not (prompt == image_token).any():
                raise InputError(
                    f"pair {example.id}: the prompt of {views} has no image token; check the chat template"
                )
            for branch in sequence.branches:
                if len(branch.ids) == 0:
                    raise InputError(
                        f"pair {example.id}: the answer of view '{branch.view}' has no tokens to learn from"
                    )
                if image_token is not None and (branch.ids == image_token).any():
                    raise InputError(f"pair {example.id}: the answer of view '{branch.view}' holds an image token")


@torch.no_grad()
def check_forward(network: Any, example: Example, pad_id: int, packed: bool) -> None:
    """Answers get from the scoring network what the model's own forward gives each alone.

    Guards against model families that do more between hidden states and logits than an LM head, or that a block mask does
    not suit. network: see logprobs.scoring.
    """
    device = network.device
    for sequence in example.sequences:
        arguments = on_device(collate([sequence], pad_id, packed), device)
        found = torch.split(network(**arguments).logp, [len(branch.ids) for branch in sequence.branches])
        for branch, logps in zip(sequence.branches, found, strict=True):
            alone = on_device(collate([replace(sequence, branches=(branch,))], pad_id, packed=False), device)
            logits = network(**as_floats(alone["inputs"], network.dtype)).logits.flatten(0, 1)
            apart = float((logps - token_logps(logits[alone["predictors"]], alone["targets"]).logp).abs().mean())
            if not apart <= TOLERANCE[network.dtype]:
                raise InputError(
                    f"log-probs of view '{branch.view}' of pair {example.id} are {apart:.2g} nats a token off the model's "
                    f"own: the training forward does not suit a '{network.config.model_type}' model. Please report this"
                )


def check_start(scored: Scored, loss: Loss, expected: float | None, ids: Sequence[str], dtype: torch.dtype) -> None:
    """Before the first step policy and reference are one model: log-ratios are 0 and the loss has its known value."""
    for view, logps in scored.policy.items():
        off = scored.log_ratio(view).detach().abs() / logps.mask.sum(-1)
        worst = int(off.argmax())
        if not off[worst] <= TOLERANCE[dtype]:
            raise InputError(
                f"before the first step policy and reference must agree, but for view '{view}' of pair {ids[worst]} they "
                f"differ by {off[worst]:.2g} nats a token (allowed: {TOLERANCE[dtype]:.2g}). The cached reference is of "
                "another model, or something in the model is random; remove the reference cache and try again"
            )
    found = float(loss.per_pair.detach().mean())
    if expected is not None and not abs(found - expected) <= LOSS_TOLERANCE[dtype]:
        raise InputError(
            f"before the first step the loss must be {expected:.5f}, found {found:.5f}: the objective's loss and its "
            "loss_at_start do not belong together"
        )


def check_finite(loss: Loss, step: int, ids: Sequence[str]) -> None:
    """Stop at the first loss that is no number."""
    finite = torch.isfinite(loss.per_pair.detach())
    if not finite.all():
        bad = [name for name, good in zip(ids, finite.reshape(-1).tolist(), strict=False) if not good]
        raise InputError(
            f"step {step}: the loss of {len(bad)} pairs is not finite (pairs {', '.join(bad[:8])}). The last checkpoint is "
            "sound; lower the learning rate, or look at these pairs"
        )
