"""MBPO's rejected answer: what the reference says of the adversarial image, scored with the true one.

Source: arXiv 2506.08022, of which the idea is known: answers from an adversarial image, pairs of high image information gain.
Ours: y_l ~ pi_ref(.|m_adv, q) at temperature 1; of all pairs the KEEP share whose chosen answer gains most from its image is
kept; a pair is left out, too, when what was said is empty or the chosen answer itself. Left out means reward nan, which the
objective counts as nothing; such a variant carries the pair's own rejected answer.
"""

from math import nan

import numpy as np

from baselines.adversary import ReferenceModel, remembered_gain
from baselines.types import Pair, Variant
from baselines.variants import Tools, make_variant

VERSION = "1"
NEEDS = ("pairs", "reference")
KEEP = 0.8
REWARD = 0.0


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    assert tools.reference is not None
    gain = remembered_gain(tools.reference, pair, tools.cache)
    least = least_gain(tools, tools.reference)
    if gain < least:
        return left_out(pair, gain, f"its image information gain is below {least:.4f}")
    adversarial = make_variant("adversarial", pair, seed, tools).image
    assert adversarial is not None
    said = tools.reference.sample(adversarial, pair.prompt, [seed, pair.id])
    if said in ("", pair.chosen):
        return left_out(pair, gain, "the model said nothing, or the chosen answer")
    return Variant(pair.prompt, said, reward=REWARD, notes={"gain": gain})


def least_gain(tools: Tools, reference: ReferenceModel) -> float:
    """The gain from which on a pair is kept. Computed once for a set of pairs, since it takes all of them."""
    if tools.pairs_hash not in reference.least_gains:
        gains = [remembered_gain(reference, pair, tools.cache) for pair in tools.pairs]
        reference.least_gains[tools.pairs_hash] = float(np.quantile(gains, 1 - KEEP))
    return reference.least_gains[tools.pairs_hash]


def left_out(pair: Pair, gain: float, reason: str) -> Variant:
    return Variant(pair.prompt, pair.rejected, reward=nan, notes={"gain": gain, "left_out": reason})
