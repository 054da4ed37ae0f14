"""Weights of a checkpoint as name -> tensor: read from disk when they are used, and never unpickled as code."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from halbench.errors import InputError, first_sentence


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one file, .safetensors or .bin, mapped into memory. Raises InputError for a damaged file and for one
    that holds more than tensors."""
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds more than weights, which could run code when it is read ({first_sentence(error)})"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({first_sentence(error)}); is the file complete?") from error
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise InputError(f"{path}: expected weights by name, found something else")
    return dict(found)


def weight_files(folder: Path) -> Iterator[Path]:
    """The files with a model's weights: safetensors if there are any, else .bin."""
    named = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    return iter(named)


def model_weights(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of a model's folder. Raises InputError if there are none."""
    weights: dict[str, torch.Tensor] = {}
    for path in weight_files(folder):
        weights |= read_weights(path)
    if not weights:
        raise InputError(f"{folder}: contains no weights (*.safetensors or pytorch_model*.bin)")
    return weights


def merge_lora(
    weights: dict[str, torch.Tensor], adapter: Mapping[str, torch.Tensor], config: Mapping[str, Any]
) -> None:
    """Add a LoRA adapter to weights in place, as peft does: W + scale B A, in float32, cast back. Raises InputError for an
    adapter of another kind, or whose weights have no counterpart."""
    unsupported = [
        name for name in ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save") if config.get(name)
    ]
    if config.get("peft_type") != "LORA" or unsupported:
        raise InputError(f"the adapter is not plain LoRA ({', '.join(unsupported) or config.get('peft_type')})")
    rank = config["r"]
    scale = config["lora_alpha"] / (rank**0.5 if config.get("use_rslora") else rank)
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in adapter.items():
        target, found, part = name.removeprefix("base_model.model.").partition(".lora_")
        if not found or part[:1] not in ("A", "B"):
            raise InputError(f"the adapter's weight {name} is not one of LoRA's")
        pairs.setdefault(f"{target}.weight", {})[part[0]] = value
    for target, parts in pairs.items():
        if target not in weights or parts.keys() != {"A", "B"}:
            raise InputError(f"the adapter does not fit its base: no counterpart of {target}")
        change = parts["B"].float() @ parts["A"].float() * scale
        weights[target] = (weights[target].float() + change).to(weights[target].dtype)
