"""The image of another pair."""

from dataclasses import replace

import pytest
from dog_pairs import CHOSEN

from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant
from halbench.errors import InputError


def test_other_image_shows_another_pairs_image(dog_pairs: list[Pair], tools: Tools):
    for seed in range(8):
        variant = make_variant("other_image", dog_pairs[0], seed, tools)
        assert variant.notes["pair"] in ("1", "2")
        assert variant.answer == CHOSEN
    with pytest.raises(InputError, match="needs pairs with other images"):
        make_variant("other_image", dog_pairs[0], 0, replace(tools, pairs=dog_pairs[:1] * 2))
