"""Recipes that cannot be trained as they are."""

from dataclasses import replace

import pytest
from small_training import RECIPE, plan

from baselines.training.train import train
from halbench.errors import InputError
from halbench.types import BackendOptions


def test_a_batch_that_cannot_be_shared_out_is_refused(model, pairs, tmp_path):
    with pytest.raises(InputError, match="expected a multiple of 1 processes x --micro-batch-size 3"):
        train(plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, micro_batch_size=3)))


def test_a_gpu_is_not_chosen_by_number(model, pairs, tmp_path):
    gpu = replace(plan("dpo", model, pairs, tmp_path / "out"), options=BackendOptions(device="cuda:1"))
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES"):
        train(gpu)


def test_an_unknown_schedule_is_refused(model, pairs, tmp_path):
    with pytest.raises(InputError, match="lr_scheduler 'cosin'; did you mean 'cosine'"):
        train(plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, lr_scheduler="cosin")))
