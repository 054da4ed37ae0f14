"""GRPO: compares answers to one question with each other. Pure functions of per-token log-probs.

    A_i = (r_i - mean r) / (std r + 1e-4)                              std unbiased, over the group
    L_i = mean_t [ -min(rho_t A_i, clip(rho_t, 1 - eps, 1 + eps) A_i) + beta k3_t ]
    rho = pi / pi_old     k3 = pi_ref / pi - log(pi_ref / pi) - 1

Source: arXiv 2402.03300 eq. 3 and 4, normalised as TRL's GRPOTrainer does.
"""

from dataclasses import dataclass

import torch

from baselines.types import Logps

EPSILON = 1e-4  # added to the standard deviation, as TRL does


@dataclass(frozen=True)
class GroupLoss:
    """Per response [B]: the whole loss, and the mean k3 estimate of KL(policy || reference) within it."""

    per_response: torch.Tensor
    kl: torch.Tensor


def group_advantages(rewards: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """Rewards [B] relative to their group's mean, in its standard deviations; 0 in a group whose rewards do not differ.

    group [B]: any integer per row; rows with the same one form a group.
    """
    _, row, size = torch.unique(group, return_inverse=True, return_counts=True)
    mean = rewards.new_zeros(len(size)).index_add(0, row, rewards) / size
    deviation = rewards - mean[row]
    variance = torch.zeros_like(mean).index_add(0, row, deviation**2) / (size - 1).clamp(min=1)
    return torch.where(informative(rewards, group), deviation / (variance.sqrt()[row] + EPSILON), 0)


def informative(rewards: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """[B] bool: whether the rewards in a row's group differ; false for a group with a nan."""
    groups, row = torch.unique(group, return_inverse=True)
    low, high = (
        rewards.new_zeros(len(groups)).scatter_reduce(0, row, rewards, edge, include_self=False)
        for edge in ("amin", "amax")
    )
    return (high > low)[row]


def grpo(
    policy: Logps, old: Logps, reference: Logps, advantages: torch.Tensor, clip: float, kl_weight: float
) -> GroupLoss:
    """The clipped policy loss with its KL penalty, mean over each response's tokens. advantages [B]."""
    ratio = (policy.token - old.token).exp()
    advantage = advantages[:, None]
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    difference = reference.token - policy.token
    kl = difference.exp() - difference - 1
    return GroupLoss(mean_over(-gain + kl_weight * kl, policy.mask), mean_over(kl, policy.mask))


def mean_over(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[B]: mean of values [B, T] where mask [B, T] is true."""
    return torch.where(mask, values, 0).sum(-1) / mask.sum(-1)
