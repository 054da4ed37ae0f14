"""The image of another pair, drawn by lot: mDPO's ablation "random image". Depends on which pairs there are."""

from baselines.preferences import open_image
from baselines.types import Pair, Variant
from baselines.variants import Tools, generator
from halbench.errors import InputError

VERSION = "1"
NEEDS = ("pairs",)


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    own = open_image(pair.image)
    random = generator("other_image", pair.id, seed)
    for place in random.permutation(len(tools.pairs)).tolist():
        other = tools.pairs[place]
        if other.image == pair.image:
            continue
        image = open_image(other.image)
        if image.size != own.size or image.tobytes() != own.tobytes():  # one image may lie there under two names
            return Variant(pair.prompt, pair.chosen, image, notes={"pair": other.id})
    raise InputError(f"pair {pair.id}: view 'other_image' needs pairs with other images; all show this one")
