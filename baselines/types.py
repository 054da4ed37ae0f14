"""The core types of preference training.

A `Pair` is one preference; a `Variant` is what the model is shown and an answer, made from a pair by a view; an
objective gets the log-probs of its views, as `Scored`, and returns a `Loss`. It sees no image and no model.

    Pair("17", (Path("images/17.jpg"),), "Describe this image.", "A dog on grass.", "A dog and a cat.", (Region("dog", ...),))
    VIEWS = ("chosen", "rejected", "cropped");  loss(scored, config) -> Loss(per_pair [B], {"text": [B], ...})

Sign convention: log_ratio = log pi(y|m,q) - log pi_ref(y|m,q), summed over response tokens, in nats. Prompt, image and
pad tokens are left out; the end token is scored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from PIL import Image


@dataclass(frozen=True)
class Region:
    """An object in a pair's image. box: x0, y0, x1, y1 in pixels of the stored image."""

    name: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Pair:
    """One preference.

    images: shown before the prompt in this order; () for text alone. prompt: the user's words, without image
    placeholder. regions: of the only image. meta: the other fields of its row. rejected_images: images that the chosen
    answer does not fit, if the data has any; see the view rejected_images.
    """

    id: str
    images: tuple[Path, ...]
    prompt: str
    chosen: str
    rejected: str
    regions: tuple[Region, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    rejected_images: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Variant:
    """What the model is shown, and the answer that is scored. images: RGB, at the stored size or the one the model
    sees; None for the pair's own images, which variants encode together. reward: verified; nan leaves the pair out.
    notes: how it was made (boxes noised, objects found)."""

    prompt: str
    answer: str
    images: "tuple[Image.Image, ...] | None" = None
    reward: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Logps:
    """Log-probs of response tokens. token [B, T] in nats, mask [B, T]: true for response tokens."""

    token: "torch.Tensor"
    mask: "torch.Tensor"

    def sum(self) -> "torch.Tensor":
        """Per row [B]."""
        return (self.token * self.mask).sum(-1)


@dataclass(frozen=True)
class Scored:
    """Log-probs of each view under the policy (with gradient) and the reference (without), by view name.

    rewards: view -> [B], for objectives with verified rewards.
    """

    policy: Mapping[str, Logps]
    reference: Mapping[str, Logps]
    rewards: Mapping[str, "torch.Tensor"] = field(default_factory=dict)

    def log_ratio(self, view: str) -> "torch.Tensor":
        """[B]: log pi - log pi_ref of a view, with gradient."""
        return self.policy[view].sum() - self.reference[view].sum()


@dataclass(frozen=True)
class Loss:
    """per_pair [B]: averaged and minimised. terms: name -> [B], logged."""

    per_pair: "torch.Tensor"
    terms: Mapping[str, "torch.Tensor"]
