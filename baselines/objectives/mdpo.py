"""mDPO: DPO, plus preferring the true image over a crop of it, plus an anchor on the chosen answer.

    L = -log sigmoid(beta (D_w - D_l)) - log sigmoid(beta (D_w - D_w')) - log sigmoid(beta D_w - delta)

Source: arXiv 2406.11839v2 eq. 4 to 6; luka-group/mDPO mdpo_trainer.py. The official code draws a new crop in every
forward, so that policy and reference see different ones; here there is one crop per (pair, seed), see views/cropped.
"""

from dataclasses import dataclass

from baselines.losses.preference_terms import Order, three_terms, three_terms_at_start
from baselines.types import Loss, Scored

VIEWS = ("chosen", "rejected", "cropped")


@dataclass(frozen=True)
class Config:
    """Section 4.1: beta 0.1, delta 0, equal weights."""

    beta: float = 0.1
    delta: float = 0.0
    text_weight: float = 1.0
    image_weight: float = 1.0
    anchor_weight: float = 1.0
    order: Order = "shuffled"


def loss(scored: Scored, config: Config) -> Loss:
    return three_terms(scored, "cropped", config)


def loss_at_start(config: Config) -> float:
    return three_terms_at_start(config)
