"""GRPO against TRL's numbers."""

import pytest
import torch
from verified_log_probs import LP, OLD, REF, assert_near, float64, padded

from baselines.losses.group_policy import group_advantages, grpo, informative
from baselines.types import Logps


def test_advantages_are_normalised_within_their_group():
    assert_near(
        group_advantages(float64([2, 0, 1, 0]), torch.zeros(4)), [1.30544607, -0.78326764, 0.26108921, -0.78326764]
    )
    assert_near(group_advantages(float64([2, 0]), torch.tensor([7, 7])), [0.70705678, -0.70705678])


def test_groups_do_not_touch_each_other():
    together = group_advantages(float64([2, 5, 0, 1]), torch.tensor([3, 1, 3, 1]))
    assert_near(together[[0, 2]], [0.70705678, -0.70705678])
    assert together[1] > 0 > together[3]


def test_a_group_that_tells_nothing_has_advantage_zero():
    rewards, group = float64([0.1, 0.1, 0.1, 3, 2, torch.nan]), torch.tensor([0, 0, 0, 1, 2, 2])
    assert group_advantages(rewards, group).tolist() == [0.0] * 6
    assert not informative(rewards, group).any()


@pytest.mark.parametrize(("kl", "expected"), [(0.0, -0.00129104), (0.04, -0.00101923)])
def test_grpo_gives_trls_numbers(kl, expected):
    advantages = group_advantages(float64([2, 0, 1, 0]), torch.zeros(4))
    assert_near(grpo(padded(LP), padded(OLD), padded(REF), advantages, 0.2, kl).per_response.mean(), expected)


def test_with_the_old_policy_detached_only_the_kl_is_left_in_the_value():
    advantages = group_advantages(float64([2, 0, 1, 0]), torch.zeros(4))
    assert_near(grpo(padded(LP), padded(LP), padded(REF), advantages, 0.2, 0.04).per_response.mean(), 0.00027181)


@pytest.mark.parametrize(
    ("kl", "old", "expected"), [(0, OLD, 0.01381738), (0.04, OLD, 0.01404667), (0.04, LP, 0.00022928)]
)
def test_an_offline_pair_is_a_group_of_two(kl, old, expected):
    advantages = group_advantages(float64([2, 0]), torch.zeros(2))
    assert_near(
        grpo(padded(LP[:2]), padded(old[:2]), padded(REF[:2]), advantages, 0.2, kl).per_response.mean(), expected
    )


def test_grpo_agrees_with_numerical_gradients():
    advantages = group_advantages(float64([2, 0, 1, 0]), torch.zeros(4))
    old, reference = padded(OLD), padded(REF)

    def loss(token: torch.Tensor) -> torch.Tensor:
        return grpo(Logps(token, old.mask), old, reference, advantages, 0.2, 0.04).per_response

    assert torch.autograd.gradcheck(loss, padded(LP).token.requires_grad_())
