"""What a model reads of one pair, as tokens.

A `TokenSequence` is a prompt with its images, read once, and the answers that follow it as branches. Variants of a pair
that show the same images and ask the same question share one:

    Example("17", (TokenSequence({"input_ids": [1, P], "pixel_values": ...}, (Branch("chosen", ...), Branch("rejected", ...))),
                   TokenSequence({...}, (Branch("cropped", ...),))), rewards={}, altered=("cropped",))
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from halbench.files.records import content_hash


@dataclass(frozen=True)
class Branch:
    """One answer behind a prefix, as tokens [T]; the end token is the last."""

    view: str
    ids: torch.Tensor


@dataclass(frozen=True)
class TokenSequence:
    """A prompt with its images (what the processor returned, one row), and the answers that share them. images: hash of
    the images, "" for text alone."""

    inputs: Mapping[str, torch.Tensor]
    images: str
    branches: tuple[Branch, ...]

    def length(self) -> int:
        """Tokens of the prefix, its images included, and the longest answer: what positions must reach."""
        return int(self.inputs["input_ids"].shape[1]) + max(len(branch.ids) for branch in self.branches)

    def key(self, branch: Branch) -> str:
        """Hash of all that a branch's log-probs depend on besides the model: images, prompt tokens, answer tokens."""
        ids = [self.inputs["input_ids"][0].tolist(), branch.ids.tolist()]
        return content_hash([self.images, *ids], 32)


@dataclass(frozen=True)
class Example:
    """All views of one pair, ready to be batched.

    contents: view -> hash of its images, prompt and answer, whatever the model. notes: view -> how it was made.
    altered: the views that show other images with the chosen answer.
    """

    id: str
    sequences: tuple[TokenSequence, ...]
    contents: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rewards: Mapping[str, float] = field(default_factory=dict)
    altered: tuple[str, ...] = ()

    def length(self) -> int:
        """Tokens of the longest prompt with one answer, images included."""
        return max(sequence.length() for sequence in self.sequences)

    def keys(self) -> dict[str, str]:
        """View -> key of its log-probs."""
        return {branch.view: sequence.key(branch) for sequence in self.sequences for branch in sequence.branches}
