"""mDPO's and MFPO's three terms against verified numbers."""

import pytest
from verified_log_probs import ANCHOR, DPO, IMAGE, THREE_TERMS, assert_near, scored

from baselines.objectives import mdpo, mfpo


@pytest.mark.parametrize(("objective", "altered"), [(mdpo, "cropped"), (mfpo, "region_noised")])
def test_mdpo_and_mfpo_are_one_loss_on_different_views(objective, altered):
    loss = objective.loss(scored(altered), objective.Config())
    assert_near(loss.per_pair, THREE_TERMS)
    assert_near(loss.per_pair.mean(), 2.17244510)
    assert_near(loss.terms["text"], DPO)
    assert_near(loss.terms["image"], IMAGE)
    assert_near(loss.terms["anchor"], ANCHOR)


@pytest.mark.parametrize(
    ("delta", "mean"), [(0.0, 0.70894435), (0.1, 0.76092502), (0.5, 0.99340777), (1.0, 1.33562011)]
)
def test_delta_is_outside_beta(delta, mean):
    assert_near(mdpo.loss(scored("cropped"), mdpo.Config(delta=delta)).terms["anchor"].mean(), mean)


def test_the_gradients_of_the_three_terms_are_the_verified_ones():
    values = scored("cropped", grad=True)
    mdpo.loss(values, mdpo.Config()).per_pair.mean().backward()
    gradient = {view: logps.token.grad for view, logps in values.policy.items()}
    assert_near(gradient["chosen"][:, 0], [-0.03475220, -0.03892319, -0.04252480, -0.03750000])
    assert_near(gradient["rejected"][:, 0], [0.01098868, 0.01342487, 0.01273435, 0.01250000])
    assert_near(gradient["cropped"][:, 0], [0.01183812, 0.01262500, 0.01635470, 0.01250000])
    assert all((g[:, 1] == 0).all() for g in gradient.values()), "padding has no gradient"


def test_weights_switch_terms_off():
    config = mdpo.Config(image_weight=0.0, anchor_weight=0.0)
    assert_near(mdpo.loss(scored("cropped"), config).per_pair, DPO)
