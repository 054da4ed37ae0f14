"""The terms that preference objectives are made of, each a pure function of log-ratios. No image, no model.

    D_w = log pi_theta(y_w|m,q) - log pi_ref(y_w|m,q)   D_l: of y_l   D_w': of (y_w, altered image m')
    text    -log sigmoid(beta (D_w - D_l))
    image   -log sigmoid(beta (D_w - D_w'))
    anchor  -log sigmoid(beta D_w - delta)

mDPO (arXiv 2406.11839) and MFPO (arXiv 2410.15334) are the weighted sum of the three, each with its own sigmoid; they
differ in how m' is made.
"""

from math import exp, log1p
from typing import Literal, Protocol

import torch
import torch.nn.functional as F

from baselines.types import Loss, Scored

Order = Literal["shuffled", "curriculum"]
"""Order of the pairs: shuffled anew each epoch, or easy, medium, hard by the reference's mean token entropy."""


class ThreeTermConfig(Protocol):
    """The settings of `three_terms`. delta is not multiplied by beta, as in the official mDPO code."""

    @property
    def beta(self) -> float: ...
    @property
    def delta(self) -> float: ...
    @property
    def text_weight(self) -> float: ...
    @property
    def image_weight(self) -> float: ...
    @property
    def anchor_weight(self) -> float: ...


def preference(margin: torch.Tensor, beta: float, label_smoothing: float = 0.0) -> torch.Tensor:
    """-log sigmoid(beta margin), the Bradley-Terry loss. label_smoothing: assumed share of wrong preferences."""
    scaled = beta * margin
    return -(1 - label_smoothing) * F.logsigmoid(scaled) - label_smoothing * F.logsigmoid(-scaled)


def anchor(log_ratio: torch.Tensor, beta: float, delta: float) -> torch.Tensor:
    """-log sigmoid(beta D_w - delta): keeps the chosen answer at least as likely as under the reference."""
    return -F.logsigmoid(beta * log_ratio - delta)


def three_terms(scored: Scored, altered: str, config: ThreeTermConfig) -> Loss:
    """The weighted sum of text, image and anchor term. altered: the view that shows m'."""
    chosen = scored.log_ratio("chosen")
    terms = {
        "text": preference(chosen - scored.log_ratio("rejected"), config.beta),
        "image": preference(chosen - scored.log_ratio(altered), config.beta),
        "anchor": anchor(chosen, config.beta, config.delta),
    }
    weights = {"text": config.text_weight, "image": config.image_weight, "anchor": config.anchor_weight}
    return Loss(sum_of(terms, weights), terms)


def sum_of(terms: dict[str, torch.Tensor], weights: dict[str, float]) -> torch.Tensor:
    """The weighted sum of terms [B]."""
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum(0)


def three_terms_at_start(config: ThreeTermConfig) -> float:
    """The loss while every log-ratio is 0: 3 log 2 with the papers' weights and delta."""
    return (config.text_weight + config.image_weight) * log1p(1) + config.anchor_weight * log1p(exp(config.delta))
