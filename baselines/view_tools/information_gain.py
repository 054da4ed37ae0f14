"""Image information gain: how much likelier an answer is with its image than with a black one.

    IIG = mean_t [log pi(y_t | m, q) - log pi(y_t | black image, q)], nats per token

The idea is MBPO's (arXiv 2506.08022); the formula is ours.
"""

import json
from pathlib import Path

import torch
from PIL import Image

from baselines.types import Pair
from baselines.view_tools.pair_images import only_image
from baselines.view_tools.reference_model import ReferenceModel
from halbench.files.records import content_hash, file_hash, write_text


def image_information_gain(with_image: torch.Tensor, without_image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[B], nats per token: how much likelier an answer's tokens are with the image. Log-probs and mask [B, T]."""
    return torch.where(mask, with_image - without_image, 0).sum(-1) / mask.sum(-1)


def information_gain(reference: ReferenceModel, pair: Pair) -> float:
    """The gain of a pair's chosen answer under a reference model."""
    image = only_image(pair, "mined_rejected")
    black = Image.new("RGB", image.size)
    seen, unseen = (reference.logps(shown, pair.prompt, pair.chosen)[None] for shown in (image, black))
    return float(image_information_gain(seen, unseen, torch.ones_like(seen, dtype=torch.bool)))


def cached_gain(reference: ReferenceModel, pair: Pair, cache: Path | None) -> float:
    """The gain of a pair, computed once in a process and, with a cache folder, only once."""
    key = content_hash([pair.id, pair.prompt, pair.chosen, [str(path) for path in pair.images]], 32)
    if key in reference.gains:
        return reference.gains[key]
    path = cache and cache / "gain" / content_hash([key, *map(file_hash, pair.images), reference.identity], 32)
    gain = read_gain(path) if path else None
    if gain is None:
        gain = information_gain(reference, pair)
        if path:
            write_text(path, json.dumps(gain))
    reference.gains[key] = gain
    return gain


def read_gain(path: Path) -> float | None:
    """The gain in a file; None if it is missing or cannot be read."""
    try:
        return float(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
