"""MBPO's offline and online groups."""

import torch
from verified_log_probs import LP, OLD, REF, assert_near, float64, padded

from baselines.objectives import mbpo
from baselines.types import Scored


def offline(chosen, mined, rewards=None, grad: bool = False) -> Scored:
    policy = {"chosen": padded(chosen), "mined_rejected": padded(mined)}
    for logps in policy.values():
        logps.token.requires_grad_(grad)
    reference = {"chosen": padded(REF[:1]), "mined_rejected": padded(REF[1:2])}
    return Scored(policy, reference, {} if rewards is None else {"mined_rejected": float64(rewards)})


def test_mbpos_offline_loss_is_grpo_on_the_pair():
    loss = mbpo.loss(offline(LP[:1], LP[1:2]), mbpo.Config())
    assert_near(loss.per_pair, [0.00022928])
    assert_near(loss.terms["advantage"], [0.70705678])


def test_mbpo_raises_the_chosen_answer_and_lowers_the_mined_one():
    values = offline(LP[:1], LP[1:2], grad=True)
    mbpo.loss(values, mbpo.Config(kl_weight=0.0)).per_pair.sum().backward()
    assert (values.policy["chosen"].token.grad < 0).all()
    assert (values.policy["mined_rejected"].token.grad[:, :3] > 0).all()


def test_a_pair_that_mining_left_out_has_no_loss_and_no_gradient():
    values = offline(LP[:1], LP[1:2], rewards=[torch.nan], grad=True)
    loss = mbpo.loss(values, mbpo.Config())
    loss.per_pair.sum().backward()
    assert loss.per_pair.tolist() == [0.0]
    assert loss.terms["left_out"].tolist() == [1.0]
    assert (values.policy["chosen"].token.grad == 0).all()


def test_online_groups_are_weighted_and_groups_without_variance_skipped():
    rewards, group = float64([2, 0, 1, 1]), torch.tensor([0, 0, 1, 1])
    logps = [padded(rows) for rows in (LP, OLD, REF)]
    loss = mbpo.online_loss(*logps, rewards, group, mbpo.Config(online_weight=0.5))
    assert_near(loss.per_pair[:2].mean(), 0.5 * 0.01404667)
    assert loss.per_pair[2:].tolist() == [0.0, 0.0]
    assert loss.terms["left_out"].tolist() == [0.0, 0.0, 1.0, 1.0]
