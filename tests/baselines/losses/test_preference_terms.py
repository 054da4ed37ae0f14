"""The terms of preference objectives, against verified numbers and numerical gradients."""

import torch
from verified_log_probs import float64

from baselines.losses.preference_terms import anchor, preference


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
