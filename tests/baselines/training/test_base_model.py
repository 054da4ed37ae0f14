"""The model that training starts from."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
from small_training import RECIPE, plan

from baselines.training.train import train
from halbench.errors import InputError


def test_training_does_not_start_from_an_adapter(undisturbed, pairs, tmp_path):
    with pytest.raises(InputError, match="is an adapter; training starts from a whole checkpoint"):
        train(plan("dpo", undisturbed, pairs, tmp_path / "out"))


def test_four_bits_without_bitsandbytes_say_what_to_install(model, pairs, tmp_path):
    if find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is installed")
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        train(plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, load_in_4bit=True)))
