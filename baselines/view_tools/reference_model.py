"""The reference model as MBPO's views use it: it scores an answer, says how to change an image, and answers.

reference = ReferenceModel(open_checkpoint("scenes:base", BackendOptions()))
reference.logps(image, "Describe this image.", "A dog.")       # [T], nats
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from PIL import Image

from baselines.encoding.collation import collate, on_device
from baselines.encoding.encoder import Encoder
from baselines.encoding.own_head import own_logits
from baselines.encoding.packed_forward import response_tokens
from baselines.types import Variant
from baselines.view_tools.differentiable_pixels import differentiable
from halbench.files.records import content_hash
from halbench.models.chat_templates import render, starts_with_bos
from halbench.models.checkpoints import Checkpoint

MAX_NEW_TOKENS = 256


class ReferenceModel:
    """A checkpoint that scores, is attacked and answers, one pair at a time. gains, least_gains: what was computed with
    it, see information_gain.py and views/mined_rejected.py."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.model = checkpoint.model
        self.processor = checkpoint.processor
        self.encoder = Encoder(checkpoint, packed=False)
        self.gains: dict[str, float] = {}
        self.least_gains: dict[str, float] = {}

    @property
    def identity(self) -> str:
        """Hash of weights, precision, processor and template; wherever the checkpoint is."""
        return content_hash({name: value for name, value in self.checkpoint.identity.items() if name != "model"})

    def inputs(self, image: Image.Image, prompt: str, answer: str) -> dict[str, Any]:
        """A batch of one answer, on the model's device."""
        sequence = self.encoder.sequence("", [image], {"": Variant(prompt, answer)})
        batch: dict[str, Any] = on_device(
            collate([sequence], self.processor.tokenizer.pad_token_id or 0, packed=False), self.model.device
        )
        return batch

    def scored(self, batch: dict[str, Any]) -> torch.Tensor:
        """Log-probs [T] of the answer's tokens."""
        return response_tokens(self.model, partial(own_logits, self.model, self.model.forward), **batch).logp

    @torch.no_grad()
    def logps(self, image: Image.Image, prompt: str, answer: str) -> torch.Tensor:
        """Log-probs [T] of an answer's tokens, the end token included."""
        return self.scored(self.inputs(image, prompt, answer))

    def gradient(self, image: Image.Image, prompt: str, answer: str) -> Callable[[torch.Tensor], torch.Tensor]:
        """A function from pixels [3, H, W] of an image of this size to the gradient of the answer's log-prob there."""
        batch = self.inputs(image, prompt, answer)
        through = differentiable(self.processor.image_processor, image, batch["inputs"]["pixel_values"])

        def at(pixels: torch.Tensor) -> torch.Tensor:
            pixels = pixels.detach().requires_grad_()
            inputs = {**batch["inputs"], "pixel_values": through(pixels).to(self.model.device)}
            (gradient,) = torch.autograd.grad(self.scored({**batch, "inputs": inputs}).sum(), pixels)
            return gradient

        return at

    @torch.no_grad()
    def sample(self, image: Image.Image, prompt: str, seed: Any) -> str:
        """An answer drawn at temperature 1, the same for the same seed."""
        text = render(self.processor, self.checkpoint.template, prompt)
        add_special = not starts_with_bos(self.processor.tokenizer, text)
        inputs = self.processor(text=[text], images=[[image]], return_tensors="pt", add_special_tokens=add_special)
        inputs = inputs.to(self.model.device, self.model.dtype)
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(int(content_hash(seed), 16))
            output = self.model.generate(
                **inputs, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=MAX_NEW_TOKENS
            )
        new = output[0, inputs["input_ids"].shape[1] :]
        return str(self.processor.tokenizer.decode(new, skip_special_tokens=True)).strip()
