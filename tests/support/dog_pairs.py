"""Pairs about a brown dog and a red ball, as views are made from them."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from baselines.pairs.content_hashes import variant_hash, view_hash
from baselines.types import Pair, Region, Variant
from baselines.view_tools.noise import ModelPixels
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant
from halbench.models.images import open_image

CHOSEN = "A brown dog chases a red ball over the grass. The dog looks happy."
DOG, BALL = Region("dog", (10, 20, 60, 70)), Region("red ball", (90, 60, 120, 90))
STORED = ModelPixels(edge=None)  # noise at the stored size


def write_dog_pairs(folder: Path) -> list[Pair]:
    """Three pairs on noisy backgrounds; the third has no regions."""
    pairs = []
    for number, colour in enumerate(("green", "navy", "white")):
        pixels = (
            np.random.default_rng(number).integers(0, 60, (100, 140, 3)) + np.array(ImageColor.getrgb(colour)) * 3 // 4
        )
        image = Image.fromarray(pixels.astype(np.uint8))
        ImageDraw.Draw(image).rectangle(DOG.box, fill="brown")
        ImageDraw.Draw(image).ellipse(BALL.box, fill="red")
        path = folder / f"{number}.png"
        image.save(path)
        pairs.append(Pair(str(number), (path,), "What is there?", CHOSEN, "A cat.", (DOG, BALL) * (number < 2)))
    return pairs


def image_of(variant: Variant) -> Image.Image:
    """The only image of a variant."""
    assert variant.images is not None
    (image,) = variant.images
    return image


def changed(pair: Pair, image: Image.Image) -> np.ndarray:
    """[H, W]: where an image differs from the pair's own."""
    return (np.asarray(image) != np.asarray(open_image(pair.images[0]))).any(-1)


def hash_of_view(view: str, pairs: list[Pair], seed: int, tools: Tools) -> str:
    return view_hash((pair.id, variant_hash(pair, make_variant(view, pair, seed, tools))) for pair in pairs)
