"""The control between DPO and mDPO."""

from verified_log_probs import ANCHOR, DPO, assert_near, scored

from baselines.objectives import dpo_anchor


def test_dpo_anchor_is_mdpo_without_its_image_term():
    loss = dpo_anchor.loss(scored(), dpo_anchor.Config())
    assert_near(loss.per_pair, [text + anchor for text, anchor in zip(DPO, ANCHOR, strict=True)])
