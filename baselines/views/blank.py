"""The chosen answer to a black image of the same size: what the model says unseen."""

from PIL import Image

from baselines.preferences import open_image
from baselines.types import Pair, Variant
from baselines.variants import Tools

VERSION = "1"
NEEDS = ()


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    return Variant(pair.prompt, pair.chosen, Image.new("RGB", open_image(pair.image).size))
