"""Diffusion noise over the whole image: MFPO's ablation, and what CHiP and POVID do. See baselines.noise."""

import numpy as np

from baselines.noise import diffused
from baselines.preferences import open_image
from baselines.types import Pair, Variant
from baselines.variants import Tools, generator

VERSION = "1"
NEEDS = ()


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    image = open_image(pair.image)
    everywhere = np.ones(image.size[::-1], bool)
    noised = diffused(image, everywhere, tools.pixels, generator("globally_noised", pair.id, seed))
    return Variant(pair.prompt, pair.chosen, noised)
