"""MFPO: mDPO's loss with noise on the regions of the key objects in place of the crop, trained from easy to hard.

    L = -log sigmoid(beta (D_w - D_l)) - log sigmoid(beta (D_w - D_w')) - log sigmoid(beta D_w - eta)

Source: arXiv 2410.15334v2; no code was released. The loss and its best settings (eta 0, equal weights) are published.
Ours: the difficulty that the curriculum ranks by, which is the mean token entropy of y_w under the reference, and one
pass over each third (order="shuffled" is the paper's ablation "joint").
"""

from dataclasses import dataclass

from baselines.losses.preference_terms import Order, three_terms, three_terms_at_start
from baselines.types import Loss, Scored

VIEWS = ("chosen", "rejected", "region_noised")


@dataclass(frozen=True)
class Config:
    """delta: the paper's eta."""

    beta: float = 0.1
    delta: float = 0.0
    text_weight: float = 1.0
    image_weight: float = 1.0
    anchor_weight: float = 1.0
    order: Order = "curriculum"


def loss(scored: Scored, config: Config) -> Loss:
    return three_terms(scored, "region_noised", config)


def loss_at_start(config: Config) -> float:
    return three_terms_at_start(config)
