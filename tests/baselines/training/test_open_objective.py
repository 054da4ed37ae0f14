"""Opening an objective, and what is wrong with one of the user's own."""

from pathlib import Path

import pytest
from small_training import log_rows, own_objective, plan
from verified_log_probs import assert_near, scored

from baselines.training.open_objective import open_objective
from baselines.training.train import train
from baselines.types import Loss
from halbench import plugins
from halbench.errors import InputError


def test_an_objective_can_be_a_file_of_ones_own(tmp_path: Path):
    path = tmp_path / "hinge.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from baselines.types import Loss\n"
        "VIEWS = ('chosen', 'rejected')\n"
        "@dataclass(frozen=True)\n"
        "class Config:\n"
        "    beta: float = 0.1\n"
        "def loss(scored, config):\n"
        "    margin = config.beta * (scored.log_ratio('chosen') - scored.log_ratio('rejected'))\n"
        "    return Loss((1 - margin).clamp(min=0), {})\n"
        "def loss_at_start(config):\n"
        "    return 1.0\n"
    )
    module = plugins.load("baselines.objectives", str(path))
    loss: Loss = module.loss(scored(), module.Config())
    assert_near(loss.per_pair[3], 1.0)


def test_a_mistyped_objective_is_answered_with_the_nearest_name():
    with pytest.raises(InputError, match="unknown objective 'mdop'; did you mean 'mdpo'"):
        plugins.load("baselines.objectives", "mdop")


def test_an_objective_of_ones_own_is_one_file(model, pairs, tmp_path):
    objective = train(plan(own_objective(tmp_path), model, pairs, tmp_path / "out"))["settings"]["objective"]
    assert objective["name"] == "own"
    assert len(objective["file"]) == 12
    assert log_rows(tmp_path / "out")[-1]["margin"] > 0


def test_an_unknown_setting_of_an_objective_is_refused():
    with pytest.raises(InputError, match="objective 'dpo' has no setting 'betta'; did you mean 'beta'"):
        open_objective("dpo", {"betta": 1})


@pytest.mark.parametrize("value", ["much", True])
def test_a_setting_of_the_wrong_kind_is_refused(value):
    with pytest.raises(InputError, match="setting 'beta': expected float, found"):
        open_objective("dpo", {"beta": value})
