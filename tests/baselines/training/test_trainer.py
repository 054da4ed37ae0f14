"""The trainer's log, and what stops it."""

import pytest
from small_training import log_rows, own_objective, plan

from baselines.training.train import train
from halbench.errors import InputError


def test_the_log_holds_terms_margins_and_speed(undisturbed):
    row = log_rows(undisturbed)[-1]
    named = {"loss", "grad_norm", "learning_rate", "text", "image", "anchor", "margin", "accuracy", "tokens_per_second"}
    split_by_view = {
        f"{what}/{view}" for what in ("logp", "log_ratio", "tokens") for view in ("chosen", "rejected", "cropped")
    }
    assert named | split_by_view | {"image_margin/cropped", "image_accuracy/cropped", "peak_memory_gb"} <= row.keys()
    assert row["margin"] == pytest.approx(row["log_ratio/chosen"] - row["log_ratio/rejected"], abs=1e-4)
    assert row["image_margin/cropped"] == pytest.approx(row["logp/chosen"] - row["logp/cropped"], abs=1e-3)


def test_a_loss_that_is_no_number_stops_with_step_and_pairs(model, pairs, tmp_path):
    objective = own_objective(tmp_path, "-margin / (margin.abs().max() < 1e-3)")
    with pytest.raises(InputError, match=r"step 2: the loss of 4 pairs is not finite \(pairs p\d+"):
        train(plan(objective, model, pairs, tmp_path / "out"))
