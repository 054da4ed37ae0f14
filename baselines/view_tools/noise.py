"""Diffusion noise on images, as in VCD and, after it, in POVID, CHiP and MFPO.

    m' = sqrt(abar_t) m + sqrt(1 - abar_t) eps        t = 500 of 1000: 0.863 m + 0.505 eps

VCD (arXiv 2311.16922) adds it to the processor's normalised tensor. A variant is an RGB image that the processor has
yet to read, so here (ours) the same sum is taken in units of the processor's mean and standard deviation, converted
back to RGB and clipped. A processor that resizes every image to one size would average out noise of a finer grain, so
the image is resized to that size first, by the processor's own resampling: outside the mask, the processor then sees
what it would have made of the original. Processors that choose a size by the image (Qwen2-VL, LLaVA-NeXT) get the image
at its stored size.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

STEP, STEPS = 500, 1000


@dataclass(frozen=True)
class ModelPixels:
    """What an image processor does to pixels. mean, std: of its normalisation, in 0..1. edge: pixels to which it
    resizes the shorter edge of every image, None if the size depends on the image. resample: Pillow's number of the
    filter."""

    mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)
    edge: int | None = 336
    resample: int = Image.Resampling.BICUBIC


CLIP_336 = ModelPixels()
"""LLaVA-1.5's processor, the one of the papers."""


def model_pixels(image_processor: Any) -> ModelPixels:
    """The ModelPixels of a transformers image processor."""
    fixed = not any(hasattr(image_processor, name) for name in ("merge_size", "image_grid_pinpoints", "max_image_size"))
    edge = image_processor.size.get("shortest_edge") if fixed and getattr(image_processor, "crop_size", None) else None
    mean, std = image_processor.image_mean, image_processor.image_std
    return ModelPixels(tuple(mean), tuple(std), edge, int(image_processor.resample))


def kept_signal(step: int) -> float:
    """abar_t, the share of the signal's variance that remains after a step of VCD's schedule."""
    betas = 1 / (1 + np.exp(-np.linspace(-6, 6, STEPS))) * (0.005 - 1e-5) + 1e-5
    return float(np.prod(1 - betas[: step + 1]))


def diffused(
    image: Image.Image, mask: np.ndarray, pixels: ModelPixels, random: np.random.Generator, step: int = STEP
) -> Image.Image:
    """The image with the noise of a step where mask [H, W] is true, unchanged elsewhere; at the size the model sees."""
    size = seen_size(image.size, pixels.edge)
    small = image.resize(size, pixels.resample) if size != image.size else image
    inside = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    mean, std = np.array(pixels.mean), np.array(pixels.std)
    normalised = (np.asarray(small, dtype=np.float64) / 255 - mean) / std
    kept = kept_signal(step)
    noisy = np.sqrt(kept) * normalised + np.sqrt(1 - kept) * random.standard_normal(normalised.shape)
    levels = np.rint((noisy * std + mean).clip(0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.where(inside[:, :, None], levels, np.asarray(small)))


def seen_size(size: tuple[int, int], edge: int | None) -> tuple[int, int]:
    """Width and height with `edge` pixels on the shorter edge, rounded down as transformers does."""
    if edge is None:
        return size
    width, height = size
    return (edge, edge * height // width) if width <= height else (edge * width // height, edge)
