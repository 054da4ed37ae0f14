"""Where tokens are in padded batches."""

import pytest
import torch

from baselines.encoding.collation import lay_out
from baselines.encoding.packed_forward import token_logps


def test_the_documented_vector_of_masked_log_probs_comes_out():
    logits = torch.sin(1.7 * torch.arange(6.0, dtype=torch.float64)[:, None] + 0.9 * torch.arange(5.0))
    layout = lay_out([torch.tensor([3, 1, 4])], [[torch.tensor([0, 2, 4])]], pad_id=0)
    tokens = token_logps(logits[layout.predictors], layout.targets)
    assert tokens.logp.dtype == torch.float64
    assert tokens.logp.sum().item() == pytest.approx(-6.05289419, abs=1e-7)


def test_the_first_token_of_every_answer_is_predicted_by_the_end_of_the_prompt():
    layout = lay_out([torch.tensor([7, 8])], [[torch.tensor([1, 2, 3]), torch.tensor([4, 5])]], pad_id=0)
    assert layout.predictors.tolist() == [1, 2, 3, 1, 5]
    assert layout.targets.tolist() == [1, 2, 3, 4, 5]
    assert (torch.arange(7) - layout.shift[0]).tolist() == [0, 1, 2, 3, 4, 2, 3]
