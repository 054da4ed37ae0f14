"""Checks before and during training that stop it with an explanation, rather than train on nonsense."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from baselines.encoding.collation import collate, on_device
from baselines.encoding.packed_forward import as_floats, token_logps
from baselines.encoding.sequences import Example
from baselines.types import Loss, Pair, Scored
from halbench.errors import InputError
from halbench.models.chat_templates import image_count, image_count_problem
from halbench.models.checkpoints import Checkpoint

# The largest log-ratio at the start, in nats per response token, and difference of a loss from its known value. Policy and
# reference run in batches of different shapes, which moves float32 sums by about 1e-5 and bfloat16 ones by about 1e-2.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.02}
LOSS_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.02}


def check_images(pairs: Sequence[Pair], checkpoint: Checkpoint) -> None:
    """Raise InputError if only some pairs have images, which no batch can hold together, or if the chat template does
    not place as many images as a pair has."""
    with_images = {bool(pair.images): pair.id for pair in pairs}
    if len(with_images) > 1:
        raise InputError(
            f"pair {with_images[False]} has no image and pair {with_images[True]} has; train pairs with and without images "
            "separately"
        )
    for count, pair in {len(pair.images): pair for pair in reversed(pairs)}.items():
        problem = image_count_problem(checkpoint.processor, checkpoint.template, count)
        if problem is not None:
            raise InputError(f"pair {pair.id} has {image_count(count)}, but the checkpoint's chat template {problem}")


def check_examples(examples: Sequence[Example], image_token: int | None) -> None:
    """Raise InputError for an answer without tokens, a prompt without the images' tokens, and an answer with one."""
    for example in examples:
        for sequence in example.sequences:
            prompt = sequence.inputs["input_ids"][0]
            views = ", ".join(branch.view for branch in sequence.branches)
            if image_token is not None and sequence.images and not (prompt == image_token).any():
                raise InputError(
                    f"pair {example.id}: the prompt of {views} has no image token; check the chat template"
                )
            for branch in sequence.branches:
                if len(branch.ids) == 0:
                    raise InputError(
                        f"pair {example.id}: the answer of view '{branch.view}' has no tokens to learn from"
                    )
                if image_token is not None and (branch.ids == image_token).any():
                    raise InputError(f"pair {example.id}: the answer of view '{branch.view}' contains an image token")


@torch.no_grad()
def check_forward(model: Any, example: Example, pad_id: int, packed: bool) -> None:
    """Raise InputError unless the scoring model gives each answer the log-probs of the model's own forward.

    Guards against model families with more than an LM head between hidden states and logits, or for which a block mask
    is wrong. model: a scoring model, see encoding/packed_forward.py.
    """
    device = model.device
    for sequence in example.sequences:
        arguments = on_device(collate([sequence], pad_id, packed), device)
        scored = torch.split(model(**arguments).logp, [len(branch.ids) for branch in sequence.branches])
        for branch, logps in zip(sequence.branches, scored, strict=True):
            alone = on_device(collate([replace(sequence, branches=(branch,))], pad_id, packed=False), device)
            logits = model(**as_floats(alone["inputs"], model.dtype)).logits.flatten(0, 1)
            difference = float((logps - token_logps(logits[alone["predictors"]], alone["targets"]).logp).abs().mean())
            if not difference <= TOLERANCE[model.dtype]:
                raise InputError(
                    f"log-probs of view '{branch.view}' of pair {example.id} differ from the model's own by {difference:.2g} "
                    f"nats a token: the training forward is not correct for model type '{model.config.model_type}'. Please report this"
                )


def check_start(scored: Scored, loss: Loss, expected: float | None, ids: Sequence[str], dtype: torch.dtype) -> None:
    """Raise InputError unless, before the first step, log-ratios are 0 and the loss has its known value: policy and
    reference are still the same model."""
    for view, logps in scored.policy.items():
        difference = scored.log_ratio(view).detach().abs() / logps.mask.sum(-1)
        worst = int(difference.argmax())
        if not difference[worst] <= TOLERANCE[dtype]:
            raise InputError(
                f"before the first step policy and reference must agree, but for view '{view}' of pair {ids[worst]} they "
                f"differ by {difference[worst]:.2g} nats a token (allowed: {TOLERANCE[dtype]:.2g}). The cached reference is of "
                "another model, or something in the model is random; remove the reference cache and try again"
            )
    mean = float(loss.per_pair.detach().mean())
    if expected is not None and not abs(mean - expected) <= LOSS_TOLERANCE[dtype]:
        raise InputError(
            f"before the first step the loss must be {expected:.5f}, found {mean:.5f}: the objective's loss and its "
            "loss_at_start contradict each other"
        )


def check_finite(loss: Loss, step: int, ids: Sequence[str]) -> None:
    """Raise InputError for a loss that is not finite."""
    finite = torch.isfinite(loss.per_pair.detach())
    if not finite.all():
        bad = [name for name, good in zip(ids, finite.reshape(-1).tolist(), strict=False) if not good]
        raise InputError(
            f"step {step}: the loss of {len(bad)} pairs is not finite (pairs {', '.join(bad[:8])}). The last saved "
            "checkpoint is unaffected; lower the learning rate, or inspect these pairs"
        )
