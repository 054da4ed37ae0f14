"""Which pairs are too long, and what is part of a reference's identity."""

from types import SimpleNamespace

import pytest
from small_training import CPU, RECIPE, plan

from baselines.encoding.reference import PairInfo
from baselines.training.arguments import training_arguments
from baselines.training.recipes import Recipe
from baselines.training.reference_pass import fitting, longest_allowed, reference_identity
from halbench.models.checkpoints import open_checkpoint


@pytest.mark.parametrize(
    ("asked", "own", "longest"),
    [(None, None, None), (None, 1024, 1024), (64, 1024, 64), (2048, 1024, 1024), (64, None, 64)],
)
def test_the_recipe_and_the_model_both_limit_the_length(asked, own, longest):
    config = SimpleNamespace(**({} if own is None else {"max_position_embeddings": own}))
    model = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: config))
    assert longest_allowed(model, Recipe(max_length=asked)) == longest


def test_pairs_of_just_the_length_fit():
    infos = [PairInfo(str(length), length, {}, {}, None) for length in (10, 12, 11)]
    assert fitting(infos, 11) == [0, 2]
    assert fitting(infos, None) == [0, 1, 2]


def test_weights_attention_and_packing_are_part_of_the_references_identity(model, pairs, tmp_path):
    checkpoint = open_checkpoint(str(model), CPU)
    arguments = training_arguments(plan("dpo", model, pairs, tmp_path / "out", RECIPE))
    packed, plain = (reference_identity(checkpoint, arguments, value) for value in (True, False))
    assert {name for name in packed if packed[name] != plain[name]} == {"packed"}
    assert {"fingerprint", "dtype", "chat_template", "weights", "autocast", "attention", "device"} <= set(packed)
