"""Checks before and during training that stop it with an explanation, rather than train on nonsense."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from baselines.encoding.collation import collate, on_device
from baselines.encoding.packed_attention import attention_problem
from baselines.encoding.packed_forward import as_floats, token_logps
from baselines.encoding.sequences import Example, TokenSequence
from baselines.types import Loss, Pair, Scored
from halbench.errors import InputError, first_sentence
from halbench.models.chat_templates import image_count, image_count_problem
from halbench.models.checkpoints import Checkpoint, is_out_of_memory
from halbench.models.failures import MODEL_ERRORS
from halbench.models.tolerance import TOLERANCE

# Largest difference of the loss at the start from its known value.
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
def packing_problem(model: Any, examples: Sequence[Example], pad_id: int) -> str | None:
    """Why the answers of these examples cannot share a sequence; None if each gets the log-probs that it gets alone, whatever
    the others say. examples: packed, of different lengths. model: a scoring model, see encoding/packed_forward.py."""
    if (problem := attention_problem(model)) is not None:
        return problem
    sequences = [sequence for example in examples for sequence in example.sequences]
    others = [altered_first_answer(sequence) for sequence in sequences]
    try:
        together, beside_others = (
            model(**on_device(collate(of, pad_id, True), model.device)).logp for of in (sequences, others)
        )
        branches = [replace(sequence, branches=(branch,)) for sequence in sequences for branch in sequence.branches]
        alone = model(**on_device(collate(branches, pad_id, False), model.device)).logp
    except MODEL_ERRORS as error:
        if is_out_of_memory(error):
            raise
        return f"{type(error).__name__}: {first_sentence(error)}"
    lengths = [len(branch.ids) for sequence in sequences for branch in sequence.branches]
    first = [branch is sequence.branches[0] for sequence in sequences for branch in sequence.branches]
    for is_first, packed, beside, own in zip(
        first, *(torch.split(logps, lengths) for logps in (together, beside_others, alone)), strict=True
    ):
        difference = float((packed - own).abs().mean())
        if not difference <= TOLERANCE[model.dtype]:
            return f"log-probs of packed answers differ from those alone by {difference:.2g} nats a token"
        # Masked out, another answer weighs exactly nothing, in any precision.
        if not is_first and not float((packed - beside).abs().mean()) <= TOLERANCE[torch.float32]:
            return "a packed answer depends on another one"
    return None


def altered_first_answer(sequence: TokenSequence) -> TokenSequence:
    """The sequence with the first answer's tokens in reversed order."""
    first, *rest = sequence.branches
    return replace(sequence, branches=(replace(first, ids=first.ids.flip(0)), *rest))


@torch.no_grad()
def check_forward(model: Any, examples: Sequence[Example], pad_id: int, packed: bool) -> None:
    """Raise InputError unless the scoring model gives each answer, in one batch of these examples, the log-probs of the
    model's own forward on it alone.

    Guards against model families whose body and head cannot be called one after the other, or whose images are laid out
    otherwise than collation.stack_inputs does it. model: a scoring model, see encoding/packed_forward.py.
    """
    device = model.device
    sequences = [(example.id, sequence) for example in examples for sequence in example.sequences]
    branches = [(id, sequence, branch) for id, sequence in sequences for branch in sequence.branches]
    arguments = on_device(collate([sequence for _, sequence in sequences], pad_id, packed), device)
    try:
        scored = torch.split(model(**arguments).logp, [len(branch.ids) for _, _, branch in branches])
    except MODEL_ERRORS as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"model type '{model.config.model_type}': cannot be trained, because its body and head, or its images, are not "
            f"where they are expected ({type(error).__name__}: {first_sentence(error)}); please report this"
        ) from error
    for (id, sequence, branch), logps in zip(branches, scored, strict=True):
        alone = on_device(collate([replace(sequence, branches=(branch,))], pad_id, packed=False), device)
        logits = model(**as_floats(alone["inputs"], model.dtype)).logits.flatten(0, 1)
        difference = float((logps - token_logps(logits[alone["predictors"]], alone["targets"]).logp).abs().mean())
        if not difference <= TOLERANCE[model.dtype]:
            raise InputError(
                f"log-probs of view '{branch.view}' of pair {id} differ from the model's own by {difference:.2g} "
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
