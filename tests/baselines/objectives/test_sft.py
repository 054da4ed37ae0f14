"""Fine-tuning on the chosen answers."""

from verified_log_probs import LP, assert_near, padded

from baselines.objectives import sft
from baselines.types import Scored


def test_sft_is_the_mean_token_loss_of_the_chosen_answer():
    loss = sft.loss(Scored({"chosen": padded(LP)}, {}), sft.Config())
    assert_near(loss.per_pair, [0.96, 0.8, 0.75, 1.1])
    assert sft.loss_at_start(sft.Config()) is None
