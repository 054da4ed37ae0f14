"""The chosen answer to the images that, by the data, it does not fit: a pair's rejected_images."""

from baselines.types import Pair, Variant
from baselines.view_tools.tools import Tools
from halbench.errors import InputError
from halbench.models.images import open_image

VERSION = "1"
NEEDS = ()


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    if not pair.rejected_images:
        raise InputError(f"pair {pair.id} has no rejected_images, which view 'rejected_images' shows")
    return Variant(pair.prompt, pair.chosen, tuple(open_image(path) for path in pair.rejected_images))
