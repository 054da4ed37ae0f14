"""Online groups: the policy answers closed questions several times, and its answers are compared by verified reward.

In each step `per_call` questions are drawn, answered `size` times each by sampling from the current policy, and
rewarded (pairs/questions.py). The objective's `online_loss` gets their log-probs under the policy, with gradient, under
the policy that sampled them, and under the reference: the model with its adapter off.

All draws follow from (seed, step, part), so that a resumed run gets the questions and answers of an undisturbed one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import TrainingArguments

from baselines.encoding.collation import collate, on_device
from baselines.encoding.encoder import Encoder
from baselines.encoding.packed_forward import as_floats, split_by_view
from baselines.encoding.sequences import Branch, TokenSequence
from baselines.pairs.questions import ClosedQuestion, read_questions, reward
from baselines.training.open_objective import Objective, OnlineLoss
from baselines.training.recipes import Recipe
from baselines.types import Logps, Loss, Variant
from halbench.errors import InputError
from halbench.files.records import content_hash
from halbench.models.chat_templates import render, starts_with_bos
from halbench.models.images import open_image

MAX_NEW_TOKENS = 16  # of an answer to a closed question; a longer one is not well-formed
VIEW = "rollout"


@dataclass(frozen=True)
class Rollouts:
    """How answers are drawn. size: answers per question. per_call: questions at once. pad_id: see collation.

    temperature: of sampling only; log-probs are the model's own, so ratios are exact only at 1.
    """

    questions: Sequence[ClosedQuestion]
    encoder: Encoder
    loss: OnlineLoss
    config: Any
    per_call: int
    size: int
    seed: int
    temperature: float
    pad_id: int

    def __call__(self, model: Any, step: int, part: int) -> Loss:
        """The online loss of one draw. model: a scoring model (encoding/packed_forward.py) with an adapter."""
        seed = int(content_hash(["rollouts", self.seed, step, part], 15), 16)
        questions = Random(seed).sample(self.questions, min(self.per_call, len(self.questions)))
        sequences, rewards = self.answered(model, questions, seed)
        arguments = on_device(self.batch(sequences), model.device)
        policy = self.logps(model, arguments, sequences)
        with torch.no_grad(), model.disable_adapter():
            reference = self.logps(model, arguments, sequences)
        # One step follows each draw, so the policy that sampled is the policy itself.
        old = Logps(policy.token.detach(), policy.mask)
        group = torch.arange(len(questions), device=model.device).repeat_interleave(self.size)
        return self.loss(policy, old, reference, rewards.to(policy.token), group, self.config)

    def answered(
        self, model: Any, questions: Sequence[ClosedQuestion], seed: int
    ) -> tuple[list[TokenSequence], torch.Tensor]:
        """Each question with its answers as branches, and the answers' rewards [B], question by question."""
        processor = self.encoder.processor
        images = [open_image(question.image) for question in questions]
        prompts = [render(processor, self.encoder.checkpoint.template, question.prompt) for question in questions]
        inputs = processor(
            text=prompts,
            images=[[image] for image in images],
            padding=True,
            return_tensors="pt",
            add_special_tokens=not starts_with_bos(processor.tokenizer, prompts[0]),
        ).to(model.device)
        ids = self.sample(model, dict(inputs), seed)
        rows = [ids[start : start + self.size] for start in range(0, len(ids), self.size)]
        sequences = []
        for question, image, answers in zip(questions, images, rows, strict=True):
            prompt = self.encoder.sequence(question.id, [image], {VIEW: Variant(question.prompt, "")})
            sequences.append(replace(prompt, branches=tuple(Branch(VIEW, answer) for answer in answers)))
        texts = processor.batch_decode(ids, skip_special_tokens=True)
        repeated = [question for question in questions for _ in range(self.size)]
        rewards = [reward(question, text) for question, text in zip(repeated, texts, strict=True)]
        return sequences, torch.tensor(rewards)

    def sample(self, model: Any, inputs: dict[str, torch.Tensor], seed: int) -> list[torch.Tensor]:
        """Sampled answers as tokens, `size` for each row of the inputs, each up to its end token if it has one."""
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.no_grad(), evaluating(model), torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            output = model.generate(
                **as_floats(inputs, model.dtype),
                do_sample=True,
                temperature=self.temperature,
                top_k=0,
                top_p=1.0,
                num_return_sequences=self.size,
                max_new_tokens=MAX_NEW_TOKENS,
                pad_token_id=self.pad_id,
            )
        end = model.generation_config.eos_token_id
        ends = torch.tensor(end if isinstance(end, list) else [end])
        return [until_end(row, ends) for row in output[:, inputs["input_ids"].shape[1] :].cpu()]

    def batch(self, sequences: Sequence[TokenSequence]) -> dict[str, Any]:
        """The arguments of a scoring model; if it takes no packed ones, each answer has its own sequence."""
        if self.encoder.packed:
            return collate(sequences, self.pad_id, packed=True)
        single = [replace(sequence, branches=(branch,)) for sequence in sequences for branch in sequence.branches]
        return collate(single, self.pad_id, packed=False)

    def logps(self, model: Any, arguments: dict[str, Any], sequences: Sequence[TokenSequence]) -> Logps:
        """Log-probs [B, T] of all answers, question by question."""
        lengths = [len(branch.ids) for sequence in sequences for branch in sequence.branches]
        starts = torch.tensor([0, *lengths]).cumsum(0)[:-1, None]
        columns = torch.arange(max(lengths))[None]
        mask = columns < torch.tensor(lengths)[:, None]
        index = torch.where(mask, starts + columns, 0)
        token_positions = {VIEW: (index.to(model.device), mask.to(model.device))}
        return split_by_view(model(**arguments).logp, token_positions)[VIEW]


def open_rollouts(
    objective: Objective, recipe: Recipe, encoder: Encoder, pad_id: int, arguments: TrainingArguments, cache: Path
) -> Rollouts | None:
    """The online sampler; None without --online, or if the objective has no online loss."""
    size = getattr(objective.config, "group_size", 0)
    if recipe.online is None or objective.online_loss is None or not size:
        return None
    if recipe.full or arguments.world_size > 1:
        raise InputError(
            "--online needs a LoRA adapter and a single process: drop --full or torchrun, or turn online groups off with "
            "--set group_size=0"
        )
    per_call, rest = divmod(recipe.online_per_step, arguments.gradient_accumulation_steps)
    if rest or not per_call:
        raise InputError(
            f"--online-per-step {recipe.online_per_step}: expected a multiple of the step's "
            f"{arguments.gradient_accumulation_steps} micro-batches"
        )
    return Rollouts(
        questions=read_questions(recipe.online, recipe.seed, cache),
        encoder=encoder,
        loss=objective.online_loss,
        config=objective.config,
        per_call=per_call,
        size=size,
        seed=recipe.seed,
        temperature=recipe.online_temperature,
        pad_id=pad_id,
    )


def until_end(ids: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """The tokens up to and including the first end token, which was sampled as well."""
    at = torch.isin(ids, ends).nonzero()
    return ids[: int(at[0]) + 1] if len(at) else ids


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model in evaluation mode, in which gradient checkpointing leaves generation its cache; restored
    afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def online_log(loss: Loss) -> dict[str, float]:
    """What is logged of online groups, as means over answers. left_out: share in groups whose rewards do not differ."""
    return {f"online/{name}": float(value.detach().float().mean()) for name, value in loss.terms.items()} | {
        "online/loss": float(loss.per_pair.detach().mean())
    }
