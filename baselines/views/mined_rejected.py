"""MBPO's rejected answer: the reference model's answer to the adversarial image, scored with the true one.

Source: arXiv 2506.08022, of which only the idea is known: answers to an adversarial image, pairs of high image
information gain. Ours: y_l ~ pi_ref(.|m_adv, q) at temperature 1; of all pairs, the KEEP share whose chosen answer
gains most from its image is kept. A pair is also left out if the mined answer is empty or the chosen answer itself. A
pair that is left out has the reward nan, for which the objective's loss is 0, and the variant has the pair's own
rejected answer.
"""

from math import nan

import numpy as np

from baselines.types import Pair, Variant
from baselines.view_tools.information_gain import cached_gain
from baselines.view_tools.reference_model import ReferenceModel
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant

VERSION = "1"
NEEDS = ("pairs", "reference")
KEEP = 0.8
REWARD = 0.0


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    assert tools.reference is not None
    gain = cached_gain(tools.reference, pair, tools.cache)
    least = least_gain(tools, tools.reference)
    if gain < least:
        return left_out(pair, gain, f"its image information gain is below {least:.4f}")
    adversarial = make_variant("adversarial", pair, seed, tools).images
    assert adversarial is not None
    answer = tools.reference.sample(adversarial[0], pair.prompt, [seed, pair.id])
    if answer in ("", pair.chosen):
        return left_out(pair, gain, "the model said nothing, or the chosen answer")
    return Variant(pair.prompt, answer, reward=REWARD, notes={"gain": gain})


def least_gain(tools: Tools, reference: ReferenceModel) -> float:
    """The lowest gain of a pair that is kept. Computed once for a set of pairs, since it takes all of them."""
    if tools.pairs_hash not in reference.least_gains:
        gains = [cached_gain(reference, pair, tools.cache) for pair in tools.pairs]
        reference.least_gains[tools.pairs_hash] = float(np.quantile(gains, 1 - KEEP))
    return reference.least_gains[tools.pairs_hash]


def left_out(pair: Pair, gain: float, reason: str) -> Variant:
    return Variant(pair.prompt, pair.rejected, reward=nan, notes={"gain": gain, "left_out": reason})
