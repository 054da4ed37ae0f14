"""The rejected answer to the pair's own image."""

from baselines.types import Pair, Variant
from baselines.view_tools.tools import Tools

VERSION = "1"
NEEDS = ()


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    return Variant(pair.prompt, pair.rejected)
