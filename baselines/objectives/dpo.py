"""DPO: prefer the chosen answer over the rejected one, both with the true image.

    L = -log sigmoid(beta (D_w - D_l))

Source: arXiv 2305.18290 eq. 7; eric-mitchell/direct-preference-optimization trainers.py, which also has the label
smoothing (conservative DPO).
"""

from dataclasses import dataclass
from math import log

from baselines.losses.preference_terms import Order, preference
from baselines.types import Loss, Scored

VIEWS = ("chosen", "rejected")


@dataclass(frozen=True)
class Config:
    """beta: 0.1, the practice with vision-language models (mDPO, section 4.1). label_smoothing: 0 is the paper's
    loss."""

    beta: float = 0.1
    label_smoothing: float = 0.0
    order: Order = "shuffled"


def loss(scored: Scored, config: Config) -> Loss:
    margin = scored.log_ratio("chosen") - scored.log_ratio("rejected")
    text = preference(margin, config.beta, config.label_smoothing)
    return Loss(text, {"text": text})


def loss_at_start(config: Config) -> float:
    """log 2, whatever the smoothing."""
    return log(2)
