"""The pair's own images, with either answer."""

from dog_pairs import CHOSEN

from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant


def test_chosen_and_rejected_share_the_pairs_own_image(dog_pairs: list[Pair], tools: Tools):
    chosen, rejected = (make_variant(view, dog_pairs[0], 0, tools) for view in ("chosen", "rejected"))
    assert (chosen.answer, chosen.images, chosen.reward) == (CHOSEN, None, None)
    assert (rejected.answer, rejected.images, rejected.prompt) == ("A cat.", None, "What is there?")
