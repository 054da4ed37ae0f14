"""The image of another pair, drawn at random: mDPO's ablation "random image". It depends on the whole set of pairs."""

from baselines.pairs.content_hashes import images_hash
from baselines.types import Pair, Variant
from baselines.view_tools.pair_images import altered_images
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import generator
from halbench.errors import InputError
from halbench.models.images import open_image

VERSION = "1"
NEEDS = ("pairs",)


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    own = altered_images(pair, "other_image")
    random = generator("other_image", pair.id, seed)
    for index in random.permutation(len(tools.pairs)).tolist():
        other = tools.pairs[index]
        if other.images == pair.images or len(other.images) != len(pair.images):
            continue
        images = tuple(open_image(path) for path in other.images)
        if images_hash(images) != images_hash(own):  # one image may have two file names
            return Variant(pair.prompt, pair.chosen, images, notes={"pair": other.id})
    raise InputError(f"pair {pair.id}: view 'other_image' needs pairs with other images; all show this one")
