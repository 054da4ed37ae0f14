"""Noise on a random rectangle."""

import pytest
from dog_pairs import changed, image_of

from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant


def test_a_random_region_covers_a_fifth_of_the_image(dog_pairs: list[Pair], tools: Tools):
    share = changed(dog_pairs[0], image_of(make_variant("random_region_noised", dog_pairs[0], 0, tools))).mean()
    assert share == pytest.approx(0.2, abs=0.01)
    assert changed(dog_pairs[0], image_of(make_variant("globally_noised", dog_pairs[0], 0, tools))).mean() > 0.98
