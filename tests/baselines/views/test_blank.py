"""A black image."""

from dog_pairs import image_of

from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant


def test_blank_is_black_and_of_the_same_size(dog_pairs: list[Pair], tools: Tools):
    image = image_of(make_variant("blank", dog_pairs[0], 0, tools))
    assert image.size == (140, 100)
    assert image.getextrema() == ((0, 0), (0, 0), (0, 0))
