"""Online groups: the policy answers closed questions several times, and its answers are compared by verified reward.

In each step `per_call` questions are drawn, answered `size` times each by sampling from the policy as it is, and rewarded
(questions.py). The objective's `online_loss` gets their log-probs under the policy, with gradient, under the policy that
sampled them, and under the reference: the model with its adapter off.

All draws follow from (seed, step, part), so that a resumed run asks and answers as an undisturbed one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch

from baselines.collation import Branch, Encoder, collate, on_device, starts_with_bos
from baselines.collation import Sequence as TokenSequence
from baselines.logprobs import as_floats, by_view
from baselines.preferences import open_image
from baselines.questions import ClosedQuestion, reward
from baselines.types import Logps, Loss, Variant
from halbench.backends.hf import render
from halbench.records import content_hash

MAX_NEW_TOKENS = 16  # of an answer to a closed question; one that goes on is not well-formed
VIEW = "rollout"

OnlineLoss = Callable[[Logps, Logps, Logps, torch.Tensor, torch.Tensor, Any], Loss]


@dataclass(frozen=True)
class Rollouts:
    """How answers are drawn. size: answers per question. per_call: questions at once. packed, pad_id: see collation.

    temperature: of sampling alone; log-probs are the model's own, so ratios are exact at 1 only.
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

    def __call__(self, network: Any, step: int, part: int) -> Loss:
        """The online loss of one draw. network: with an adapter, see logprobs.scoring."""
        seed = int(content_hash(["rollouts", self.seed, step, part], 15), 16)
        asked = Random(seed).sample(self.questions, min(self.per_call, len(self.questions)))
        sequences, rewards = self.answered(network, asked, seed)
        arguments = on_device(self.batch(sequences), network.device)
        policy = self.logps(network, arguments, sequences)
        with torch.no_grad(), network.disable_adapter():
            reference = self.logps(network, arguments, sequences)
        # One step follows each draw, so the policy that sampled is the policy itself.
        old = Logps(policy.token.detach(), policy.mask)
        group = torch.arange(len(asked), device=network.device).repeat_interleave(self.size)
        return self.loss(policy, old, reference, rewards.to(policy.token), group, self.config)

    def answered(
        self, network: Any, asked: Sequence[ClosedQuestion], seed: int
    ) -> tuple[list[TokenSequence], torch.Tensor]:
        """Each question with its answers as branches, and the answers' rewards [B], question by question."""
        processor = self.encoder.processor
        images = [open_image(one.image) for one in asked]
        prompts = [render(processor, self.encoder.checkpoint.template, one.prompt) for one in asked]
        inputs = processor(
            text=prompts,
            images=[[image] for image in images],
            padding=True,
            return_tensors="pt",
            add_special_tokens=not starts_with_bos(processor.tokenizer, prompts[0]),
        ).to(network.device)
        ids = self.sample(network, dict(inputs), seed)
        rows = [ids[start : start + self.size] for start in range(0, len(ids), self.size)]
        sequences = []
        for one, image, answers in zip(asked, images, rows, strict=True):
            alone = self.encoder.sequence(one.id, image, {VIEW: Variant(one.prompt, "")})
            sequences.append(replace(alone, branches=tuple(Branch(VIEW, answer) for answer in answers)))
        texts = processor.batch_decode(ids, skip_special_tokens=True)
        questions = [one for one in asked for _ in range(self.size)]
        return sequences, torch.tensor([reward(one, text) for one, text in zip(questions, texts, strict=True)])

    def sample(self, network: Any, inputs: dict[str, torch.Tensor], seed: int) -> list[torch.Tensor]:
        """Sampled answers as tokens, `size` for each row of the inputs, each up to its end token where it has one."""
        devices = [network.device] if network.device.type == "cuda" else []
        with torch.no_grad(), evaluating(network), torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            output = network.generate(
                **as_floats(inputs, network.dtype),
                do_sample=True,
                temperature=self.temperature,
                top_k=0,
                top_p=1.0,
                num_return_sequences=self.size,
                max_new_tokens=MAX_NEW_TOKENS,
                pad_token_id=self.pad_id,
            )
        ends = network.generation_config.eos_token_id
        known = torch.tensor(ends if isinstance(ends, list) else [ends])
        return [until_end(row, known) for row in output[:, inputs["input_ids"].shape[1] :].cpu()]

    def batch(self, sequences: Sequence[TokenSequence]) -> dict[str, Any]:
        """The arguments of a scoring network; where it takes no packed ones, each answer has a sequence of its own."""
        if self.encoder.packed:
            return collate(sequences, self.pad_id, packed=True)
        alone = [replace(one, branches=(branch,)) for one in sequences for branch in one.branches]
        return collate(alone, self.pad_id, packed=False)

    def logps(self, network: Any, arguments: dict[str, Any], sequences: Sequence[TokenSequence]) -> Logps:
        """Log-probs [B, T] of all answers, question by question."""
        lengths = [len(branch.ids) for one in sequences for branch in one.branches]
        starts = torch.tensor([0, *lengths]).cumsum(0)[:-1, None]
        place = torch.arange(max(lengths))[None]
        mask = place < torch.tensor(lengths)[:, None]
        index = torch.where(mask, starts + place, 0)
        where = {VIEW: (index.to(network.device), mask.to(network.device))}
        return by_view(network(**arguments).logp, where)[VIEW]


def until_end(ids: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """The tokens up to the first end token, which is kept: it was sampled, too."""
    found = torch.isin(ids, ends).nonzero()
    return ids[: int(found[0]) + 1] if len(found) else ids


@contextmanager
def evaluating(network: Any) -> Iterator[None]:
    """In evaluation mode, in which gradient checkpointing leaves generation its cache; as it was afterwards."""
    was = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was)


def described(loss: Loss) -> dict[str, float]:
    """What is logged of online groups, as means over answers. left_out: share in groups whose rewards do not differ."""
    return {f"online/{name}": float(value.detach().float().mean()) for name, value in loss.terms.items()} | {
        "online/loss": float(loss.per_pair.detach().mean())
    }
