"""What holds for all objectives: one shape, a known value at the start, gradients in the right direction."""

from math import log

import pytest
from verified_log_probs import POLICY, REFERENCE, assert_near, one_token

from baselines.objectives import dpo, dpo_anchor, mbpo, mdpo, mfpo
from baselines.types import Scored
from halbench import plugins


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
    assert_near(loss.per_pair, [expected, expected])
    assert objective.loss_at_start(objective.Config()) == pytest.approx(expected, abs=1e-12)


def test_the_start_value_follows_the_config():
    config = mdpo.Config(delta=0.5, image_weight=2.0, anchor_weight=0.3)
    logps = {view: one_token([-4.0]) for view in mdpo.VIEWS}
    assert_near(mdpo.loss(Scored(logps, logps), config).per_pair, [mdpo.loss_at_start(config)])


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
