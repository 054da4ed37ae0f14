"""DPO with mDPO's anchor and without its image term: the control that shows what the altered image adds.

    L = -log sigmoid(beta (D_w - D_l)) - log sigmoid(beta D_w - delta)

Source: the ablation "no image term" of mDPO (arXiv 2406.11839, table 3).
"""

from dataclasses import dataclass
from math import exp, log1p

from baselines.losses.preference_terms import Order, anchor, preference, sum_of
from baselines.types import Loss, Scored

VIEWS = ("chosen", "rejected")


@dataclass(frozen=True)
class Config:
    """As mDPO's, without the image term."""

    beta: float = 0.1
    delta: float = 0.0
    text_weight: float = 1.0
    anchor_weight: float = 1.0
    order: Order = "shuffled"


def loss(scored: Scored, config: Config) -> Loss:
    chosen = scored.log_ratio("chosen")
    terms = {
        "text": preference(chosen - scored.log_ratio("rejected"), config.beta),
        "anchor": anchor(chosen, config.beta, config.delta),
    }
    return Loss(sum_of(terms, {"text": config.text_weight, "anchor": config.anchor_weight}), terms)


def loss_at_start(config: Config) -> float:
    """2 log 2 with the default weights and delta."""
    return config.text_weight * log1p(1) + config.anchor_weight * log1p(exp(config.delta))
