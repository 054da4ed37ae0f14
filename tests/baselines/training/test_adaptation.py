"""Which weights are trained."""

import math
import re
from dataclasses import replace

import tiny_checkpoints
import torch
from safetensors.torch import load_file
from small_training import CPU, RECIPE, adapter_weights, largest_difference, log_rows, plan

from baselines.training.adaptation import language_layers, without_vision
from baselines.training.train import train
from halbench.models.checkpoints import open_checkpoint


def test_only_the_language_models_linear_layers_are_adapted(undisturbed):
    layers = {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in adapter_weights(undisturbed)}
    kinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert {name.rpartition(".")[2] for name in layers} == set(kinds)
    assert all(name.startswith("model.language_model.layers.") for name in layers)
    assert len(layers) == 2 * len(kinds)


def test_qwens_vision_tower_is_neither_adapted_nor_trained():
    model, _ = tiny_checkpoints.qwen2_vl()
    pattern = re.compile(language_layers(model))
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    matched = [name for name in linear if pattern.fullmatch(name)]
    assert matched
    assert all(name.startswith("model.language_model.layers.") for name in matched)
    without_vision(model)
    frozen = {name.split(".")[1] for name, weight in model.named_parameters() if not weight.requires_grad}
    assert frozen == {"visual"}


def test_gradient_checkpointing_changes_no_result(undisturbed, model, pairs, tmp_path):
    recipe = replace(RECIPE, gradient_checkpointing=True)
    train(plan("mdpo", model, pairs, tmp_path / "out", recipe))
    assert largest_difference(tmp_path / "out", undisturbed) < 1e-6


def test_full_training_leaves_the_vision_tower_as_it_was(model, pairs, tmp_path):
    recipe = replace(RECIPE, full=True, learning_rate=1e-4, epochs=4)
    train(plan("dpo", model, pairs, tmp_path / "out", recipe))
    before, after = (load_file(folder / "model.safetensors") for folder in (model, tmp_path / "out"))
    changed = {
        name.partition(".")[0] + "." + name.split(".")[1] for name in before if (before[name] != after[name]).any()
    }
    assert not any("vision" in name for name in changed)
    assert any("language" in name for name in changed)
    assert any("projector" in name for name in changed)
    assert log_rows(tmp_path / "out")[-1]["loss"] < math.log(2)
    open_checkpoint(str(tmp_path / "out"), CPU)
