"""MBPO's image: changed so little that nobody sees it, and so that the reference finds the chosen answer less likely.

Source: the idea of arXiv 2506.08022; the attack is ours, see baselines/view_tools/adversary.py.
"""

from baselines.types import Pair, Variant
from baselines.view_tools.adversary import attacked
from baselines.view_tools.pair_images import only_image
from baselines.view_tools.tools import Tools

VERSION = "1"
NEEDS = ("reference",)


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    """The attack is deterministic: the seed changes nothing."""
    assert tools.reference is not None
    result = attacked(tools.reference, only_image(pair, "adversarial"), pair.prompt, pair.chosen)
    return Variant(pair.prompt, pair.chosen, (result.image,), notes={"before": result.before, "after": result.after})
