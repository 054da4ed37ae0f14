"""Which weights are trained: LoRA on the language model's linear layers, or everything but the vision tower."""

import re
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers

from baselines.training.recipes import Recipe
from halbench.errors import InputError


def adapted(model: Any, recipe: Recipe, source: str) -> Any:
    """The model with the weights that the recipe trains made trainable; an adapter's first weights follow from the
    seed."""
    transformers.set_seed(recipe.seed)
    if recipe.full:
        trained = without_vision(model)
    else:
        base = str(Path(source).resolve()) if Path(source).is_dir() else source
        trained = with_lora(model, recipe.lora_r, recipe.lora_alpha, base)
    if recipe.gradient_checkpointing:
        # Reentrant checkpoints let ranks drift apart silently under LoRA and DDP.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the new name is not in every version that is supported
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return trained


def language_layers(model: Any) -> str:
    """A pattern that matches the full names of the language model's linear layers, and no other ones.

    A list such as q_proj, v_proj, or "all-linear", would match the layers of LLaVA's CLIP tower, too.
    """
    decoder = model.get_decoder()
    prefix = next(name for name, module in model.named_modules() if module is decoder)
    own = {name for name, module in decoder.named_modules() if isinstance(module, torch.nn.Linear)}
    expected = {f"{prefix}.{name}" for name in own}
    kinds = "|".join(sorted({re.escape(name.rpartition(".")[2]) for name in own}))
    pattern = rf"{re.escape(prefix)}\.(?:.*\.)?(?:{kinds})"
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    if not expected or {name for name in linear if re.fullmatch(pattern, name)} != expected:
        raise InputError(
            f"cannot distinguish the language model's linear layers of a '{model.config.model_type}' model"
        )
    return pattern


def with_lora(model: Any, rank: int, alpha: int, base: str) -> Any:
    """The model with a new LoRA adapter (dropout 0) that at first changes nothing. base: the name of the base model in
    the adapter's config."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if getattr(model, "is_loaded_in_4bit", False):
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=language_layers(model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft's own use of a name that transformers retires
        with_adapter = get_peft_model(model, config)
    with_adapter.peft_config["default"].base_model_name_or_path = base
    return with_adapter


def without_vision(model: Any) -> Any:
    """The model with its vision tower frozen and all other weights trainable. The tower is what has the vision part of the
    model's config as its own; Qwen2-VL's contains the projector (merger) as well."""
    kind = type(getattr(model.config, "vision_config", None))
    towers = [
        module
        for module in model.modules()
        if isinstance(module, transformers.PreTrainedModel) and type(module.config) is kind
    ]
    if not towers:
        raise InputError(
            f"cannot find the vision tower of a '{model.config.model_type}' model; train an adapter instead"
        )
    model.requires_grad_(True)
    for tower in towers:
        tower.requires_grad_(False)
    return model


def without_dropout(model: Any) -> Any:
    """The model with every dropout at 0, so that policy and reference are the same function at the start."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("dropout", "attention_dropout"):  # in attention layers it is a plain number
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model
