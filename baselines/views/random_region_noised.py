"""Diffusion noise inside one random rectangle of 20 % of the image: MFPO's ablation "random region".

Ours: the rectangle has the aspect ratio of the image and a uniformly random position.
"""

from math import sqrt

from baselines.types import Pair, Region, Variant
from baselines.view_tools.noise import diffused
from baselines.view_tools.pair_images import only_image
from baselines.view_tools.regions import box_mask
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import generator

VERSION = "1"
NEEDS = ()
AREA = 0.2


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    image = only_image(pair, "random_region_noised")
    random = generator("random_region_noised", pair.id, seed)
    wide, high = (max(1, round(length * sqrt(AREA))) for length in image.size)
    left, top = int(random.integers(image.width - wide + 1)), int(random.integers(image.height - high + 1))
    region = Region("random", (left, top, left + wide, top + high))
    noised = diffused(image, box_mask(image.size, [region]), tools.pixels, random)
    return Variant(pair.prompt, pair.chosen, (noised,), notes={"boxes": [[region.name, *region.box]]})
