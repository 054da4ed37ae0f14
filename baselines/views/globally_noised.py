"""Diffusion noise over the whole image: MFPO's ablation, and what CHiP and POVID do. See
baselines/view_tools/noise.py."""

import numpy as np

from baselines.types import Pair, Variant
from baselines.view_tools.noise import diffused
from baselines.view_tools.pair_images import altered_images
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import generator

VERSION = "1"
NEEDS = ()


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    random = generator("globally_noised", pair.id, seed)
    noised = (
        diffused(image, np.ones(image.size[::-1], bool), tools.pixels, random)
        for image in altered_images(pair, "globally_noised")
    )
    return Variant(pair.prompt, pair.chosen, tuple(noised))
