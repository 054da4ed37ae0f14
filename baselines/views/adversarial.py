"""MBPO's image: altered by so little that nobody sees it, and so that the reference finds the chosen answer less likely.

Source: the idea of arXiv 2506.08022; the attack is ours, see baselines.adversary.
"""

from baselines.adversary import attacked
from baselines.preferences import open_image
from baselines.types import Pair, Variant
from baselines.variants import Tools

VERSION = "1"
NEEDS = ("reference",)


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    """The attack is deterministic: the seed changes nothing."""
    assert tools.reference is not None
    found = attacked(tools.reference, open_image(pair.image), pair.prompt, pair.chosen)
    return Variant(pair.prompt, pair.chosen, found.image, notes={"before": found.before, "after": found.after})
