"""An attack on the image: changed so little that nobody sees it, and so that the chosen answer becomes less likely.

    attacked(reference, image, "Describe this image.", "A dog.").image      # unlike `image` by at most 8 of 255 levels

All of it is ours: of MBPO (arXiv 2506.08022) only the idea is known. L-infinity PGD on pixels in 0..1:

    x <- clip(x - step sign(d log pi_ref(y_w | x, q) / dx)), eps 8/255, 10 steps of 2/255

It starts from the image itself, so that it is deterministic and stays on the 8-bit grid of an image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image

from baselines.view_tools.differentiable_pixels import as_image, as_tensor
from baselines.view_tools.reference_model import ReferenceModel

EPS, STEP, STEPS = 8 / 255, 2 / 255, 10


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
