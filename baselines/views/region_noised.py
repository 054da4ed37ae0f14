"""MFPO's altered image: diffusion noise inside the regions of the chosen answer's key objects, and nowhere else.

Source: arXiv 2410.15334v2 (no code was released). Keywords, regions (the data's boxes, else a grounding model) and
noise: see keywords.py, regions.py and noise.py of baselines/view_tools. If no key object is found, the whole image is
noised; the paper does not say what happens in its 10 % of such failures. The notes say so, and hit_rate.py counts it.
"""

from baselines.types import Pair, Variant
from baselines.view_tools.noise import diffused
from baselines.view_tools.pair_images import only_image
from baselines.view_tools.regions import key_regions
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import generator

VERSION = "1"
NEEDS = ("language",)
USES = ("grounder",)


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    assert tools.language is not None
    image = only_image(pair, "region_noised")
    regions = key_regions(pair, image, tools.language, tools.similarity, tools.grounder)
    noised = diffused(image, regions.mask, tools.pixels, generator("region_noised", pair.id, seed))
    return Variant(pair.prompt, pair.chosen, (noised,), notes=regions.notes())
