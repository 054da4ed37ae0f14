"""The objectives against numbers that were verified on the authors' and TRL's code, to 1e-7 in float64."""

from math import log
from pathlib import Path

import pytest
import torch

from baselines.group_policy import group_advantages, grpo, informative
from baselines.objectives import dpo, dpo_anchor, mbpo, mdpo, mfpo, sft
from baselines.preference_terms import anchor, preference
from baselines.types import Logps, Loss, Scored
from halbench import plugins
from halbench.errors import InputError

# Summed log-probs of four pairs: c = (m, y_w), r = (m, y_l), i = (m', y_w).
POLICY = {
    "chosen": [-42.13, -18.7025, -77.5, -5.25],
    "rejected": [-47.91, -17.335, -80.125, -9.75],
    "altered": [-44.02, -18.9975, -70.25, -6.5],
}
REFERENCE = {
    "chosen": [-43.05, -18.105, -76.0, -5.25],
    "rejected": [-46.40, -18.22, -79.0, -9.75],
    "altered": [-43.88, -18.6, -75.125, -6.5],
}
DPO = [0.57901022, 0.77001693, 0.71207295, 0.69314718]
IMAGE = [0.64155102, 0.70319718, 1.06186033, 0.69314718]
ANCHOR = [0.64820481, 0.72346837, 0.77095705, 0.69314718]
THREE_TERMS = [1.86876605, 2.19668248, 2.54489033, 2.07944154]

# One group of four responses: per-token log-probs under policy, old policy and reference.
LP = [[-0.5, -1.2, -0.8, -2, -0.3], [-1.1, -0.9, -0.4], [-0.7, -0.6, -1.5, -0.2], [-2.3, -0.1, -0.9]]
OLD = [[-0.6, -1.0, -0.9, -2.4, -0.3], [-1.0, -1.2, -0.4], [-0.7, -0.65, -1.4, -0.25], [-2, -0.15, -1]]
REF = [[-0.55, -1.1, -1, -2.2, -0.35], [-1.05, -1, -0.45], [-0.8, -0.6, -1.3, -0.2], [-2.1, -0.2, -0.95]]


def float64(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def near(values, expected) -> None:
    torch.testing.assert_close(values.detach(), float64(expected), atol=1e-7, rtol=0)


def one_token(sums, grad: bool = False) -> Logps:
    """Summed log-probs as answers of one token, behind one token of padding that must not count."""
    token = torch.stack([float64(sums), torch.full((len(sums),), 99.0, dtype=torch.float64)], 1).requires_grad_(grad)
    return Logps(token, torch.tensor([[True, False]] * len(sums)))


def scored(altered: str = "altered", policy=POLICY, grad: bool = False) -> Scored:
    def named(sums, grad: bool) -> dict[str, Logps]:
        return {altered if view == "altered" else view: one_token(values, grad) for view, values in sums.items()}

    return Scored(named(policy, grad), named(REFERENCE, False))


def padded(rows) -> Logps:
    length = max(map(len, rows))
    token = float64([row + [9.9] * (length - len(row)) for row in rows])
    return Logps(token, torch.tensor([[place < len(row) for place in range(length)] for row in rows]))


def test_dpo_gives_the_numbers_of_the_original_code():
    loss = dpo.loss(scored(), dpo.Config())
    near(loss.per_pair, DPO)
    near(loss.per_pair.mean(), 0.68856182)
    near(dpo.loss(scored(), dpo.Config(beta=0.5)).per_pair.mean(), 0.71879983)


def test_conservative_dpo_smooths_the_labels():
    loss = dpo.loss(scored(), dpo.Config(label_smoothing=0.1))
    near(loss.per_pair, [0.60331022, 0.75519193, 0.70832295, 0.69314718])
    near(loss.per_pair.mean(), 0.68999307)


@pytest.mark.parametrize(("objective", "altered"), [(mdpo, "cropped"), (mfpo, "region_noised")])
def test_mdpo_and_mfpo_are_one_loss_on_different_views(objective, altered):
    loss = objective.loss(scored(altered), objective.Config())
    near(loss.per_pair, THREE_TERMS)
    near(loss.per_pair.mean(), 2.17244510)
    near(loss.terms["text"], DPO)
    near(loss.terms["image"], IMAGE)
    near(loss.terms["anchor"], ANCHOR)


@pytest.mark.parametrize(
    ("delta", "mean"), [(0.0, 0.70894435), (0.1, 0.76092502), (0.5, 0.99340777), (1.0, 1.33562011)]
)
def test_delta_stands_outside_beta(delta, mean):
    near(mdpo.loss(scored("cropped"), mdpo.Config(delta=delta)).terms["anchor"].mean(), mean)


def test_the_gradients_of_the_three_terms_are_the_verified_ones():
    values = scored("cropped", grad=True)
    mdpo.loss(values, mdpo.Config()).per_pair.mean().backward()
    gradient = {view: logps.token.grad for view, logps in values.policy.items()}
    near(gradient["chosen"][:, 0], [-0.03475220, -0.03892319, -0.04252480, -0.03750000])
    near(gradient["rejected"][:, 0], [0.01098868, 0.01342487, 0.01273435, 0.01250000])
    near(gradient["cropped"][:, 0], [0.01183812, 0.01262500, 0.01635470, 0.01250000])
    assert all((g[:, 1] == 0).all() for g in gradient.values()), "padding has no gradient"


def test_dpo_anchor_is_mdpo_without_its_image_term():
    loss = dpo_anchor.loss(scored(), dpo_anchor.Config())
    near(loss.per_pair, [text + held for text, held in zip(DPO, ANCHOR, strict=True)])


def test_weights_switch_terms_off():
    config = mdpo.Config(image_weight=0.0, anchor_weight=0.0)
    near(mdpo.loss(scored("cropped"), config).per_pair, DPO)


def test_the_terms_agree_with_numerical_gradients():
    values = float64([-3.0, 0.0, 0.7, 40.0]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: preference(x, 0.1, 0.1), values)
    assert torch.autograd.gradcheck(lambda x: anchor(x, 0.1, 0.5), values)


def test_extreme_margins_stay_finite():
    values = float64([-1e5, 1e5]).requires_grad_()
    loss = preference(values, 0.1)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert values.grad.isfinite().all()


@pytest.mark.parametrize(
    ("objective", "views", "expected"),
    [
        (dpo, ("rejected",), log(2)),
        (dpo_anchor, ("rejected",), 2 * log(2)),
        (mdpo, ("rejected", "cropped"), 3 * log(2)),
        (mfpo, ("rejected", "region_noised"), 3 * log(2)),
        (mbpo, ("mined_rejected",), 0.0),
    ],
)
def test_the_value_while_policy_and_reference_are_one_is_known(objective, views, expected):
    logps = {view: one_token([-12.0, -3.5]) for view in ("chosen", *views)}
    loss = objective.loss(Scored(logps, logps), objective.Config())
    near(loss.per_pair, [expected, expected])
    assert objective.loss_at_start(objective.Config()) == pytest.approx(expected, abs=1e-12)


def test_the_start_value_follows_the_config():
    config = mdpo.Config(delta=0.5, image_weight=2.0, anchor_weight=0.3)
    logps = {view: one_token([-4.0]) for view in mdpo.VIEWS}
    near(mdpo.loss(Scored(logps, logps), config).per_pair, [mdpo.loss_at_start(config)])


def test_sft_is_the_mean_token_loss_of_the_chosen_answer():
    loss = sft.loss(Scored({"chosen": padded(LP)}, {}), sft.Config())
    near(loss.per_pair, [0.96, 0.8, 0.75, 1.1])
    assert sft.loss_at_start(sft.Config()) is None


def test_advantages_are_normalised_within_their_group():
    near(group_advantages(float64([2, 0, 1, 0]), torch.zeros(4)), [1.30544607, -0.78326764, 0.26108921, -0.78326764])
    near(group_advantages(float64([2, 0]), torch.tensor([7, 7])), [0.70705678, -0.70705678])


def test_groups_do_not_touch_each_other():
    together = group_advantages(float64([2, 5, 0, 1]), torch.tensor([3, 1, 3, 1]))
    near(together[[0, 2]], [0.70705678, -0.70705678])
    assert together[1] > 0 > together[3]


def test_a_group_that_tells_nothing_has_advantage_zero():
    rewards, group = float64([0.1, 0.1, 0.1, 3, 2, torch.nan]), torch.tensor([0, 0, 0, 1, 2, 2])
    assert group_advantages(rewards, group).tolist() == [0.0] * 6
    assert not informative(rewards, group).any()


@pytest.mark.parametrize(("kl", "expected"), [(0.0, -0.00129104), (0.04, -0.00101923)])
def test_grpo_gives_trls_numbers(kl, expected):
    advantages = group_advantages(float64([2, 0, 1, 0]), torch.zeros(4))
    near(grpo(padded(LP), padded(OLD), padded(REF), advantages, 0.2, kl).per_response.mean(), expected)


def test_with_the_old_policy_detached_only_the_kl_is_left_in_the_value():
    advantages = group_advantages(float64([2, 0, 1, 0]), torch.zeros(4))
    near(grpo(padded(LP), padded(LP), padded(REF), advantages, 0.2, 0.04).per_response.mean(), 0.00027181)


@pytest.mark.parametrize(
    ("kl", "old", "expected"), [(0, OLD, 0.01381738), (0.04, OLD, 0.01404667), (0.04, LP, 0.00022928)]
)
def test_an_offline_pair_is_a_group_of_two(kl, old, expected):
    advantages = group_advantages(float64([2, 0]), torch.zeros(2))
    near(grpo(padded(LP[:2]), padded(old[:2]), padded(REF[:2]), advantages, 0.2, kl).per_response.mean(), expected)


def offline(chosen, mined, rewards=None, grad: bool = False) -> Scored:
    policy = {"chosen": padded(chosen), "mined_rejected": padded(mined)}
    for logps in policy.values():
        logps.token.requires_grad_(grad)
    reference = {"chosen": padded(REF[:1]), "mined_rejected": padded(REF[1:2])}
    return Scored(policy, reference, {} if rewards is None else {"mined_rejected": float64(rewards)})


def test_mbpos_offline_loss_is_grpo_on_the_pair():
    loss = mbpo.loss(offline(LP[:1], LP[1:2]), mbpo.Config())
    near(loss.per_pair, [0.00022928])
    near(loss.terms["advantage"], [0.70705678])


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
    near(loss.per_pair[:2].mean(), 0.5 * 0.01404667)
    assert loss.per_pair[2:].tolist() == [0.0, 0.0]
    assert loss.terms["left_out"].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_grpo_agrees_with_numerical_gradients():
    advantages = group_advantages(float64([2, 0, 1, 0]), torch.zeros(4))
    old, reference = padded(OLD), padded(REF)

    def loss(token: torch.Tensor) -> torch.Tensor:
        return grpo(Logps(token, old.mask), old, reference, advantages, 0.2, 0.04).per_response

    assert torch.autograd.gradcheck(loss, padded(LP).token.requires_grad_())


@pytest.mark.parametrize("objective", [dpo, dpo_anchor, mdpo, mfpo])
def test_the_chosen_answer_is_raised_and_what_it_is_compared_with_is_lowered(objective):
    values = Scored(
        {view: one_token(POLICY["chosen"], grad=True) for view in objective.VIEWS},
        {view: one_token(REFERENCE["chosen"]) for view in objective.VIEWS},
    )
    objective.loss(values, objective.Config()).per_pair.sum().backward()
    for view in objective.VIEWS:
        gradient = values.policy[view].token.grad[:, 0]
        assert (gradient < 0).all() if view == "chosen" else (gradient > 0).all(), view


def test_every_objective_is_a_module_of_the_same_shape():
    names = plugins.names("baselines.objectives")
    assert names == ["dpo", "dpo_anchor", "mbpo", "mdpo", "mfpo", "sft"]
    for name in names:
        module = plugins.load("baselines.objectives", name)
        assert set(module.VIEWS) <= set(plugins.names("baselines.views")), name
        assert module.Config().order in ("shuffled", "curriculum")
    assert mfpo.Config().order == "curriculum"


def test_an_objective_can_be_a_file_of_ones_own(tmp_path: Path):
    path = tmp_path / "hinge.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from baselines.types import Loss\n"
        "VIEWS = ('chosen', 'rejected')\n"
        "@dataclass(frozen=True)\n"
        "class Config:\n"
        "    beta: float = 0.1\n"
        "def loss(scored, config):\n"
        "    margin = config.beta * (scored.log_ratio('chosen') - scored.log_ratio('rejected'))\n"
        "    return Loss((1 - margin).clamp(min=0), {})\n"
        "def loss_at_start(config):\n"
        "    return 1.0\n"
    )
    module = plugins.load("baselines.objectives", str(path))
    loss: Loss = module.loss(scored(), module.Config())
    near(loss.per_pair[3], 1.0)


def test_a_mistyped_objective_is_answered_with_the_nearest_name():
    with pytest.raises(InputError, match="unknown objective 'mdop'; did you mean 'mdpo'"):
        plugins.load("baselines.objectives", "mdop")
