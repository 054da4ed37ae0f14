"""Grey noise as a picture, the same in every run."""

import numpy as np
from PIL import Image


def noise_image(size: tuple[int, int], spread: float, seed: int = 0) -> Image.Image:
    """An RGB image of this (width, height), whose grey values scatter by `spread` around 128."""
    values = np.random.default_rng(seed).normal(128, spread, (size[1], size[0]))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
