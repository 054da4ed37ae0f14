"""The chosen answer to a black image of the same size: what the model would say without looking."""

from PIL import Image

from baselines.types import Pair, Variant
from baselines.view_tools.pair_images import altered_images
from baselines.view_tools.tools import Tools

VERSION = "1"
NEEDS = ()


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    return Variant(pair.prompt, pair.chosen, tuple(Image.new("RGB", own.size) for own in altered_images(pair, "blank")))
