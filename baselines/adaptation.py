"""What of a model is trained: LoRA on the language model's linear layers, or everything but the vision tower."""

import re
import warnings
from importlib.util import find_spec
from typing import Any

import torch
import transformers

from halbench.backends.hf import Checkpoint, chat_template, load_processor
from halbench.errors import InputError, MissingExtra

# What the model families call the part that sees. Qwen2-VL's holds its projector (merger) as well.
VISION = ("vision_tower", "vision_model", "visual")


def language_layers(network: Any) -> str:
    """A pattern for the full names of the language model's linear layers, and of nothing else in the network.

    A list such as q_proj, v_proj, or "all-linear", would match the layers of LLaVA's CLIP tower, too.
    """
    decoder = network.get_decoder()
    prefix = next(name for name, module in network.named_modules() if module is decoder)
    own = {name for name, module in decoder.named_modules() if isinstance(module, torch.nn.Linear)}
    wanted = {f"{prefix}.{name}" for name in own}
    kinds = "|".join(sorted({re.escape(name.rpartition(".")[2]) for name in own}))
    pattern = rf"{re.escape(prefix)}\.(?:.*\.)?(?:{kinds})"
    linear = {name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear)}
    if not wanted or {name for name in linear if re.fullmatch(pattern, name)} != wanted:
        raise InputError(
            f"cannot tell the language model's linear layers of a '{network.config.model_type}' model apart"
        )
    return pattern


def with_lora(network: Any, rank: int, alpha: int, base: str) -> Any:
    """The network behind a new LoRA adapter (dropout 0) that starts as no change. base: what its config will name."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if getattr(network, "is_loaded_in_4bit", False):
        network = prepare_model_for_kbit_training(network, use_gradient_checkpointing=False)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=language_layers(network))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft's own use of a name that transformers retires
        adapted = get_peft_model(network, config)
    adapted.peft_config["default"].base_model_name_or_path = base
    return adapted


def without_vision(network: Any) -> Any:
    """The network with its vision tower frozen and all else trained."""
    towers = [getattr(network.model, name) for name in VISION if hasattr(network.model, name)]
    if not towers:
        raise InputError(
            f"cannot find the vision tower of a '{network.config.model_type}' model; train an adapter instead"
        )
    network.requires_grad_(True)
    for tower in towers:
        tower.requires_grad_(False)
    return network


def without_dropout(network: Any) -> Any:
    """The network with every dropout at 0, so that policy and reference are the same function at the start."""
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("dropout", "attention_dropout"):  # attention layers hold theirs as plain numbers
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return network


def open_in_4bit(source: str, device: torch.device, trust_remote_code: bool, identity: dict[str, str]) -> Checkpoint:
    """A checkpoint with its linear layers in 4-bit NF4, computing in bfloat16."""
    if find_spec("bitsandbytes") is None:
        raise MissingExtra("--load-in-4bit needs: pip install bitsandbytes, and a GPU that it supports")
    settings = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    network = transformers.AutoModelForImageTextToText.from_pretrained(
        source,
        quantization_config=settings,
        dtype=torch.bfloat16,
        device_map={"": device},
        trust_remote_code=trust_remote_code,
    )
    processor = load_processor(source, trust_remote_code)
    template = chat_template(processor, source)
    return Checkpoint(network.eval(), processor, template, {**identity, "dtype": "nf4"})
