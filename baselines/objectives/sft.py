"""Fine-tuning on the chosen answers alone: the control that shows what the rejected answers add.

L = -mean_t log pi(y_w,t | m, q)
"""

from dataclasses import dataclass

from baselines.losses.preference_terms import Order
from baselines.types import Loss, Scored

VIEWS = ("chosen",)


@dataclass(frozen=True)
class Config:
    order: Order = "shuffled"


def loss(scored: Scored, config: Config) -> Loss:
    """Mean over the tokens of an answer, so that long answers weigh no more than short ones."""
    chosen = scored.policy["chosen"]
    return Loss(-chosen.sum() / chosen.mask.sum(-1), {})


def loss_at_start(config: Config) -> None:
    """Not fixed: it depends on the model."""
    return None
