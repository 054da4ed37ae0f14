"""Merging a LoRA adapter as peft does: W + scale * B A, in float32, for each weight that it adapts."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from halbench.converting.weights import Weight, read_weights
from halbench.errors import InputError
from halbench.files.records import read_json

NEUTRAL: Mapping[str, Any] = {
    **{"bias": "none", "use_dora": False, "fan_in_fan_out": False, "modules_to_save": None, "rank_pattern": {}},
    **{"alpha_pattern": {}, "lora_bias": False, "layer_replication": None, "peft_type": "LORA"},
}
"""Settings of an adapter_config.json that would change what is merged, at their only supported value."""


def plain_name(name: str) -> str:
    """A weight's name without what peft puts around it."""
    return name.removeprefix("base_model.model.").replace(".default.", ".").replace(".base_layer.", ".")


def adapter_file(folder: Path) -> Path:
    """The weights of an adapter folder."""
    for name in ("adapter_model.safetensors", "adapter_model.bin"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: expected adapter_model.safetensors or adapter_model.bin; found neither")


def merged(weights: Mapping[str, Weight], folder: Path) -> dict[str, Weight]:
    """The weights, by their names in LLaVA's code, with those that the adapter in `folder` changes merged when read."""
    config = read_json(folder / "adapter_config.json")
    for name, value in NEUTRAL.items():
        if (config.get(name) or value) != value:
            raise InputError(f"{folder / 'adapter_config.json'}: {name} = {config[name]!r} cannot be merged here")
    parts: dict[str, dict[str, Weight]] = {}
    for weight in read_weights([adapter_file(folder)]).values():
        target, found, end = plain_name(weight.name).partition(".lora_")
        if not found or end not in ("A.weight", "B.weight"):
            raise InputError(
                f"{weight.file}: {weight.name} is not a LoRA matrix; expected *.lora_A.weight and *.lora_B.weight"
            )
        parts.setdefault(f"{target}.weight", {})[end[0]] = weight
    result = dict(weights)
    for target, pair in parts.items():
        some = next(iter(pair.values()))
        if target not in weights:
            raise InputError(f"{some.file}: {some.name} adapts {target}, which the base does not have. Another --base?")
        if pair.keys() != {"A", "B"}:
            raise InputError(f"{some.file}: {some.name} has no counterpart; is the file complete?")
        shape, (a, b) = weights[target].shape, (pair["A"].shape, pair["B"].shape)
        if len(a) != 2 or len(b) != 2 or (b[0], a[1]) != shape or b[1] != a[0]:
            raise InputError(
                f"{some.file}: {some.name} does not fit {target} of the base, {list(shape)}: its matrices are {list(a)} and "
                f"{list(b)}. Another --base?"
            )
        change = partial(added, pair=pair, scale=scale(config, rank=a[0], folder=folder))
        result[target] = weights[target].changed(shape, change)
    return result


def scale(config: Mapping[str, Any], rank: int, folder: Path) -> float:
    """lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora."""
    alpha = config.get("lora_alpha")
    if config.get("r") != rank or not isinstance(alpha, int | float):
        raise InputError(
            f"{folder / 'adapter_config.json'}: expected r = {rank}, as in the weights, and lora_alpha; found r = "
            f"{config.get('r')!r}, lora_alpha = {alpha!r}"
        )
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def added(weight: torch.Tensor, pair: Mapping[str, Weight], scale: float) -> torch.Tensor:
    """The weight with the adapter's part added, in float32."""
    return weight.float() + pair["B"].read().float() @ pair["A"].read().float() * scale
