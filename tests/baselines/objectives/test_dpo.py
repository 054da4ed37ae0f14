"""DPO against the numbers of the original code."""

from verified_log_probs import DPO, assert_near, scored

from baselines.objectives import dpo


def test_dpo_gives_the_numbers_of_the_original_code():
    loss = dpo.loss(scored(), dpo.Config())
    assert_near(loss.per_pair, DPO)
    assert_near(loss.per_pair.mean(), 0.68856182)
    assert_near(dpo.loss(scored(), dpo.Config(beta=0.5)).per_pair.mean(), 0.71879983)


def test_conservative_dpo_smooths_the_labels():
    loss = dpo.loss(scored(), dpo.Config(label_smoothing=0.1))
    assert_near(loss.per_pair, [0.60331022, 0.75519193, 0.70832295, 0.69314718])
    assert_near(loss.per_pair.mean(), 0.68999307)
