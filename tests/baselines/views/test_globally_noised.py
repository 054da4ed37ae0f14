"""Noise on the whole image."""

from dog_pairs import changed, image_of

from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant


def test_nearly_every_pixel_is_noised(dog_pairs: list[Pair], tools: Tools):
    variant = make_variant("globally_noised", dog_pairs[0], 0, tools)
    assert changed(dog_pairs[0], image_of(variant)).mean() > 0.98
    assert variant.answer == dog_pairs[0].chosen
