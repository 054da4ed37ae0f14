"""What MBPO asks of a reference model: an attack on the image, answers sampled from it, and image information gain.

    reference = ReferenceModel(open_checkpoint("scenes/base", BackendOptions()))
    attacked(reference, image, "Describe this image.", "A dog.").image      # unlike `image` by at most 8 of 255 levels

All of it is ours: of MBPO (arXiv 2506.08022) only the idea is known.

    attack   L-infinity PGD on pixels in 0..1: x <- clip(x - step sign(d log pi_ref(y_w | x, q) / dx)), eps 8/255, 10 steps
             of 2/255, from the image itself, so that it is deterministic and stays on the 8-bit grid of an image
    gain     IIG = mean_t [log pi(y_t | m, q) - log pi(y_t | black image, q)], nats per token
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from baselines.collation import Encoder, collate
from baselines.differentiable_pixels import as_image, as_tensor, differentiable
from baselines.logprobs import head_tokens
from baselines.preferences import open_image
from baselines.types import Pair, Variant
from halbench.backends.hf import Checkpoint, render
from halbench.records import content_hash, file_hash

EPS, STEP, STEPS = 8 / 255, 2 / 255, 10
MAX_NEW_TOKENS = 256


def attack(
    image: torch.Tensor,
    gradient: Callable[[torch.Tensor], torch.Tensor],
    eps: float = EPS,
    step: float = STEP,
    steps: int = STEPS,
) -> torch.Tensor:
    """Pixels in 0..1, at most eps from `image` in each, with a lower score. gradient: of the score at some pixels."""
    pixels = image
    for _ in range(steps):
        moved = pixels - step * gradient(pixels).sign()
        pixels = torch.clamp(torch.minimum(torch.maximum(moved, image - eps), image + eps), 0, 1)
    return pixels


def image_information_gain(with_image: torch.Tensor, without_image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[B], nats per token: how much likelier an answer's tokens are with the image. Log-probs and mask [B, T]."""
    return torch.where(mask, with_image - without_image, 0).sum(-1) / mask.sum(-1)


class ReferenceModel:
    """A checkpoint that scores, is attacked and answers, one pair at a time."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.network = checkpoint.network
        self.processor = checkpoint.processor
        self.encoder = Encoder(checkpoint, packed=False)
        self.gains: dict[str, float] = {}
        self.least_gains: dict[str, float] = {}

    @property
    def identity(self) -> str:
        """Weights, precision, processor and template; not where the checkpoint lies."""
        return content_hash({name: value for name, value in self.checkpoint.identity.items() if name != "model"})

    def inputs(self, image: Image.Image, prompt: str, answer: str) -> dict[str, Any]:
        sequence = self.encoder.sequence("", image, {"": Variant(prompt, answer)})
        batch = collate([sequence], self.processor.tokenizer.pad_token_id or 0, packed=False)
        found: dict[str, Any] = moved(batch, self.network.device)
        return found

    def scored(self, batch: dict[str, Any]) -> torch.Tensor:
        """Log-probs [T] of the answer's tokens."""
        inputs = {name: as_type(value, self.network.dtype) for name, value in batch["inputs"].items()}
        hidden = self.network.model(**inputs, use_cache=False).last_hidden_state.flatten(0, 1)
        return head_tokens(self.network.get_output_embeddings(), hidden[batch["predictors"]], batch["targets"]).logp

    @torch.no_grad()
    def logps(self, image: Image.Image, prompt: str, answer: str) -> torch.Tensor:
        """Log-probs [T] of an answer's tokens, the end token included."""
        return self.scored(self.inputs(image, prompt, answer))

    def gradient(self, image: Image.Image, prompt: str, answer: str) -> Callable[[torch.Tensor], torch.Tensor]:
        """Pixels [3, H, W] of an image of this size -> gradient of the answer's log-prob there."""
        batch = self.inputs(image, prompt, answer)
        through = differentiable(self.processor.image_processor, image, batch["inputs"]["pixel_values"])

        def at(pixels: torch.Tensor) -> torch.Tensor:
            pixels = pixels.detach().requires_grad_()
            shown = {**batch["inputs"], "pixel_values": through(pixels).to(self.network.device)}
            (found,) = torch.autograd.grad(self.scored({**batch, "inputs": shown}).sum(), pixels)
            return found

        return at

    def information_gain(self, pair: Pair) -> float:
        """IIG of a pair's chosen answer, in nats per token."""
        image = open_image(pair.image)
        black = Image.new("RGB", image.size)
        seen, unseen = (self.logps(shown, pair.prompt, pair.chosen)[None] for shown in (image, black))
        return float(image_information_gain(seen, unseen, torch.ones_like(seen, dtype=torch.bool)))

    @torch.no_grad()
    def sample(self, image: Image.Image, prompt: str, seed: Any) -> str:
        """An answer drawn at temperature 1, the same for the same seed."""
        text = render(self.processor, self.checkpoint.template, prompt)
        bos = self.processor.tokenizer.bos_token
        special = bos is None or not text.startswith(bos)
        inputs = self.processor(text=[text], images=[[image]], return_tensors="pt", add_special_tokens=special)
        inputs = inputs.to(self.network.device, self.network.dtype)
        devices = [self.network.device] if self.network.device.type == "cuda" else []
        with torch.random.fork_rng(devices), own_forward(self.network):
            torch.manual_seed(int(content_hash(seed), 16))
            output = self.network.generate(
                **inputs, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=MAX_NEW_TOKENS
            )
        new = output[0, inputs["input_ids"].shape[1] :]
        return str(self.processor.tokenizer.decode(new, skip_special_tokens=True)).strip()


@contextmanager
def own_forward(network: Any) -> Iterator[None]:
    """The forward of the network's class, which generation needs, in place of the one that logprobs.scoring put there."""
    replaced = network.__dict__.pop("forward", None)
    try:
        yield
    finally:
        if replaced is not None:
            network.forward = replaced


@dataclass(frozen=True)
class Attacked:
    """The altered image, and the log-prob of the answer before and after, in nats."""

    image: Image.Image
    before: float
    after: float


def attacked(reference: ReferenceModel, image: Image.Image, prompt: str, answer: str) -> Attacked:
    """The image altered against `answer`, as the 8-bit image that a model will be shown."""
    altered = as_image(attack(as_tensor(image), reference.gradient(image, prompt, answer)))
    before, after = (float(reference.logps(shown, prompt, answer).sum()) for shown in (image, altered))
    return Attacked(altered, before, after)


def remembered_gain(reference: ReferenceModel, pair: Pair, cache: Path | None) -> float:
    """Image information gain of a pair, computed once in a process and, with a cache folder, once at all."""
    key = content_hash([pair.id, pair.prompt, pair.chosen, str(pair.image)], 32)
    if key in reference.gains:
        return reference.gains[key]
    path = cache and cache / "gain" / content_hash([key, file_hash(pair.image), reference.identity], 32)
    if path and path.is_file():
        gain = float(json.loads(path.read_text("utf-8")))
    else:
        gain = reference.information_gain(pair)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
            partial.write_text(json.dumps(gain), "utf-8")
            os.replace(partial, path)
    reference.gains[key] = gain
    return gain


def moved(value: Any, device: Any) -> Any:
    """Tensors within mappings on a device."""
    if isinstance(value, dict):
        return {name: moved(item, device) for name, item in value.items()}
    return value.to(device) if isinstance(value, torch.Tensor) else value


def as_type(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return value.to(dtype) if value.is_floating_point() else value
