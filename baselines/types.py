"""The nouns of preference training.

A `Pair` is one preference; a `Variant` is one thing the model is shown and what it answers, made from a pair by a view;
an objective gets the log-probs of the views it names, as `Scored`, and gives a `Loss`. It sees no image and no model.

    Pair("17", Path("images/17.jpg"), "Describe this image.", "A dog on grass.", "A dog and a cat.", (Region("dog", ...),))
    VIEWS = ("chosen", "rejected", "cropped");  loss(scored, config) -> Loss(per_pair [B], {"text": [B], ...})

Sign convention: log_ratio = log pi(y|m,q) - log pi_ref(y|m,q), summed over response tokens, in nats; prompt, image and pad
tokens are left out, the end token is scored.
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
    """Where an object is. box: x0, y0, x1, y1 in pixels of the stored image."""

    name: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Pair:
    """One preference. prompt: the user's words, without image placeholder. meta: what else its row held."""

    id: str
    image: Path
    prompt: str
    chosen: str
    rejected: str
    regions: tuple[Region, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """What the model is shown, and the answer that is scored. image: RGB, at the stored size or the one the model
    sees, or None: the pair's own image, so that variants that share it can share its encoding. reward: verified; nan leaves
    the pair out. notes: how it was made (boxes noised, hit or fall-back)."""

    prompt: str
    answer: str
    image: "Image.Image | None" = None
    reward: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Logps:
    """Log-probs of response tokens. token [B, T] in nats, mask [B, T] true where a response token stands."""

    token: "torch.Tensor"
    mask: "torch.Tensor"

    def sum(self) -> "torch.Tensor":
        """Per row [B]."""
        return (self.token * self.mask).sum(-1)


@dataclass(frozen=True)
class Scored:
    """Log-probs of each view under the policy (with gradient) and the reference (without), by view name.

    rewards: view -> [B], for objectives that take verified rewards.
    """

    policy: Mapping[str, Logps]
    reference: Mapping[str, Logps]
    rewards: Mapping[str, "torch.Tensor"] = field(default_factory=dict)

    def log_ratio(self, view: str) -> "torch.Tensor":
        """[B]: log pi - log pi_ref of a view, with gradient."""
        return self.policy[view].sum() - self.reference[view].sum()


@dataclass(frozen=True)
class Loss:
    """per_pair [B] is what is averaged and minimised; terms: name -> [B], what is logged beside it."""

    per_pair: "torch.Tensor"
    terms: Mapping[str, "torch.Tensor"]
