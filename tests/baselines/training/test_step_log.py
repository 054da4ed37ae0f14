"""What is logged of a step."""

from types import SimpleNamespace

import pytest
import torch

from baselines.training.step_log import StepLog, batch_log
from baselines.types import Logps, Loss, Scored


def logps(*rows: list[float]) -> Logps:
    """Answers of equal length, with one token of padding behind each."""
    token = torch.tensor([[*row, 99.0] for row in rows])
    return Logps(token, torch.tensor([[True] * len(row) + [False] for row in rows]))


def test_margins_and_accuracies_are_means_over_pairs():
    policy = {
        "chosen": logps([-1.0, -1.0], [-3.0, -3.0]),
        "rejected": logps([-2.0, -2.0], [-1.0, -1.0]),
        "cropped": logps([-2.0, -2.0], [-4.0, -4.0]),
    }
    reference = {view: logps([-2.0, -2.0], [-2.0, -2.0]) for view in policy}
    row = batch_log(Scored(policy, reference), Loss(torch.ones(2), {"text": torch.tensor([0.25, 0.75])}), ["cropped"])
    assert row["text"] == 0.5
    assert row["logp/chosen"] == -4.0
    assert row["log_ratio/chosen"] == 0.0, "2 and -2"
    assert row["tokens/chosen"] == 2.0
    assert (row["margin"], row["accuracy"]) == (-1.0, 0.5), "2 and -4"
    assert (row["image_margin/cropped"], row["image_accuracy/cropped"]) == (2.0, 1.0)


def test_an_objective_of_one_view_has_no_margin():
    row = batch_log(Scored({"chosen": logps([-1.0])}, {"chosen": logps([-1.0])}), Loss(torch.ones(1), {}), [])
    assert row == {"logp/chosen": -1.0, "log_ratio/chosen": 0.0, "tokens/chosen": 1.0}


def test_micro_batches_are_averaged_and_then_forgotten():
    log, accelerator = StepLog(), SimpleNamespace(num_processes=1)
    log.add({"loss": 1.0}, ["1"], tokens=30)
    log.add({"loss": 2.0}, ["2"], tokens=10)
    assert log.ids == ["1", "2"]
    row = log.take(accelerator)
    assert row["loss"] == 1.5
    assert row["tokens_per_second"] > 0
    assert row["peak_memory_gb"] > 0.01
    log.add({"loss": 5.0}, ["3"], tokens=1)
    assert log.take(accelerator)["loss"] == pytest.approx(5.0)
