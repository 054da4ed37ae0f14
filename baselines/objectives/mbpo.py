"""MBPO, our reading: GRPO on offline pairs whose rejected answer was mined by an attack, and on online groups.

    offline  the pair (y_w, y_l) is a group of two with rewards (2, 0)
    online   G answers of the policy to a closed question, with verified rewards
    L = L_offline + lambda L_online

Source: arXiv 2506.08022, of which only the idea and the reward 2 are known: the authors' repository contains no code.
Ours: GRPO's normalisation, its clip and KL weight, lambda, and how y_l is mined (views/mined_rejected).

Old log-probs of offline answers are the policy's own, detached, so the ratio is 1 and the clip has no effect offline.
Any two rewards divided by their standard deviation give advantages of +-0.7071, so the loss is 0 plus the KL penalty:
watch the margin and the KL, not the loss.
"""

from dataclasses import dataclass

import torch

from baselines.losses.group_policy import group_advantages, grpo, informative
from baselines.losses.preference_terms import Order
from baselines.types import Logps, Loss, Scored

VIEWS = ("chosen", "mined_rejected")


@dataclass(frozen=True)
class Config:
    """chosen_reward is published; the rest is ours. clip, kl_weight: TRL's and DeepSeekMath's practice.

    group_size, online_weight: answers per closed question, and lambda. group_size 0 trains on the offline pairs alone.
    """

    chosen_reward: float = 2.0
    rejected_reward: float = 0.0
    clip: float = 0.2
    kl_weight: float = 0.04
    group_size: int = 8
    online_weight: float = 1.0
    order: Order = "shuffled"


def loss(scored: Scored, config: Config) -> Loss:
    """The loss of the offline pairs. A pair whose mined answer has the reward nan was left out by the mining: loss
    0."""
    chosen, rejected = (scored.policy[view] for view in VIEWS)
    pairs = len(chosen.token)
    mined = scored.rewards.get("mined_rejected", chosen.token.new_full((pairs,), config.rejected_reward))
    rewards = torch.cat([torch.full_like(mined, config.chosen_reward), mined])
    group = torch.arange(pairs, device=rewards.device).repeat(2)
    kept = informative(rewards, group)
    advantages = group_advantages(rewards, group)
    losses, kl = [], []
    for view, policy, advantage in zip(VIEWS, (chosen, rejected), advantages.view(2, pairs), strict=True):
        part = grpo(policy, detached(policy), scored.reference[view], advantage, config.clip, config.kl_weight)
        losses.append(part.per_response)
        kl.append(part.kl)
    terms = {
        "kl": torch.stack(kl).mean(0),
        "margin": scored.log_ratio("chosen") - scored.log_ratio("mined_rejected"),
        "advantage": advantages[:pairs],
        "left_out": (~kept[:pairs]).to(chosen.token.dtype),
    }
    return Loss(torch.where(kept[:pairs], torch.stack(losses).mean(0), 0), terms)


def online_loss(
    policy: Logps, old: Logps, reference: Logps, rewards: torch.Tensor, group: torch.Tensor, config: Config
) -> Loss:
    """The loss of rollouts [B, T], lambda included; rewards, group [B]. old: log-probs when they were sampled.

    A group whose rewards do not differ teaches nothing: its loss is 0 and it is logged as left_out, since on closed
    questions these can be most groups. `per_pair` contains one loss per response.
    """
    kept = informative(rewards, group)
    advantages = group_advantages(rewards, group)
    part = grpo(policy, old, reference, advantages, config.clip, config.kl_weight)
    terms = {"kl": part.kl, "reward": rewards, "advantage": advantages, "left_out": (~kept).to(rewards.dtype)}
    return Loss(config.online_weight * torch.where(kept, part.per_response, 0), terms)


def detached(logps: Logps) -> Logps:
    return Logps(logps.token.detach(), logps.mask)


def loss_at_start(config: Config) -> float:
    """0 for the offline pairs: the two advantages cancel and the KL penalty is 0."""
    return 0.0
