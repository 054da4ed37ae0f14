"""The columns of log.jsonl: which quantities all objectives share, and which are terms of their own loss."""

import pytest

from halbench.folders.training_log import columns_of, loss_terms

ROW = (
    "step",
    "loss",
    "grad_norm",
    "learning_rate",
    "epoch",
    "tokens_per_second",
    "peak_memory_gb",
    "online/reward",
    "online/kl",
)


def test_a_quantity_is_logged_once_or_for_each_view():
    logged = ["margin", "image_margin/cropped", "image_margin/blank", "margins"]
    assert columns_of(logged, "margin") == ["margin"]
    assert columns_of(logged, "image_margin") == ["image_margin/cropped", "image_margin/blank"]
    assert columns_of(logged, "kl") == []


def test_whatever_the_trainer_does_not_log_itself_is_a_term_of_the_loss():
    assert loss_terms([*ROW, "length_penalty", "text"]) == ["length_penalty", "text"]


def test_every_column_that_the_trainer_logs_of_a_batch_is_known():
    torch = pytest.importorskip("torch")
    from baselines.training.step_log import StepLog, batch_log
    from baselines.types import Logps, Loss, Scored

    logps = Logps(torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool))
    views = dict.fromkeys(("chosen", "rejected", "cropped"), logps)
    row = batch_log(Scored(views, views), Loss(torch.zeros(2), {"own_term": torch.zeros(2)}), ["cropped"])
    assert {"logp/cropped", "image_accuracy/cropped", "tokens/chosen"} <= row.keys()
    assert loss_terms(row) == ["own_term"]
    log = StepLog()
    log.add(row, ["1", "2"], 6)
    assert loss_terms(log.take(type("Accelerator", (), {"num_processes": 1}))) == ["own_term"]
