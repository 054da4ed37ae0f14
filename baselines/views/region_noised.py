"""MFPO's altered image: diffusion noise inside the regions of the chosen answer's key objects, and nowhere else.

Source: arXiv 2410.15334v2 (no code was released). Keywords: baselines.keywords. Regions: the data's boxes, else a grounding
model, see baselines.regions. Noise: baselines.noise. Where nothing is found the whole image is noised, as the paper's 10 %
of failures leave open; the notes say so, and variants.hit_rate counts it.
"""

from baselines.noise import diffused
from baselines.preferences import open_image
from baselines.regions import key_regions
from baselines.types import Pair, Variant
from baselines.variants import Tools, generator

VERSION = "1"
NEEDS = ("language",)
USES = ("grounder",)


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    assert tools.language is not None
    image = open_image(pair.image)
    found = key_regions(pair, image, tools.language, tools.similarity, tools.grounder)
    noised = diffused(image, found.mask, tools.pixels, generator("region_noised", pair.id, seed))
    return Variant(pair.prompt, pair.chosen, noised, notes=found.notes())
