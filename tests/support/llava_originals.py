"""Tiny checkpoints as LLaVA's own code writes them, and the transformers model with the same weights."""

import json
from pathlib import Path
from typing import Any

import torch
from tiny_checkpoints import byte_level_bpe, clip_sizes, text_sizes, widen
from transformers import (
    CLIPImageProcessor,
    CLIPVisionModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

SPECIAL = ["<unk>", "<s>", "</s>"]


def reference(hidden_act: str = "gelu") -> LlavaForConditionalGeneration:
    """LLaVA as transformers has it, with a vocabulary without the image's token."""
    size = len(byte_level_bpe(SPECIAL))
    config = LlavaConfig(
        vision_config=clip_sizes(),
        text_config=LlamaConfig(**text_sizes(size)),
        image_token_index=size,
        image_seq_length=4,
        vision_feature_layer=-1,
        projector_hidden_act=hidden_act,
        tie_word_embeddings=False,
    )
    return widen(LlavaForConditionalGeneration(config), 0)


def clip_folder(folder: Path, model: LlavaForConditionalGeneration) -> Path:
    """The vision tower as a CLIP checkpoint."""
    tower = CLIPVisionModel(model.config.vision_config)
    tower.load_state_dict(model.model.vision_tower.state_dict())
    tower.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(folder)
    return folder


def config_of(**changes: Any) -> dict[str, Any]:
    """config.json of LLaVA's code."""
    sizes = {name: value for name, value in text_sizes(len(byte_level_bpe(SPECIAL))).items() if name != "pad_token_id"}
    own = {"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": "openai/clip"}
    own |= {
        "mm_projector_type": "mlp2x_gelu",
        "mm_hidden_size": 32,
        "mm_vision_select_layer": -1,
        "image_aspect_ratio": "pad",
    }
    return {**sizes, **own, "mm_vision_select_feature": "patch", "torch_dtype": "float32", **changes}


def own_names(model: LlavaForConditionalGeneration, linear: bool = False) -> dict[str, torch.Tensor]:
    """The weights under the names of LLaVA's code, without the vision tower."""
    places = {"linear_1.": "" if linear else "0.", "linear_2.": "2."}
    weights = {}
    for name, value in model.state_dict().items():
        if name.startswith("model.multi_modal_projector."):
            layer = name.removeprefix("model.multi_modal_projector.")
            if linear and layer.startswith("linear_2"):
                continue
            for place, own in places.items():
                layer = layer.replace(place, own)
            weights[f"model.mm_projector.{layer}"] = value
        elif not name.startswith("model.vision_tower."):
            weights[name.replace("model.language_model.", "model.")] = value
    return {name: value.clone() for name, value in weights.items()}


def write_config(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_of(**changes)))
    return folder


def write_full(folder: Path, weights: dict[str, torch.Tensor], **changes: Any) -> Path:
    """A whole checkpoint, its weights in two pickled shards."""
    write_config(folder, **changes)
    names = sorted(weights)
    for number, part in enumerate((names[::2], names[1::2]), 1):
        torch.save({name: weights[name] for name in part}, folder / f"pytorch_model-0000{number}-of-00002.bin")
    byte_level_bpe(SPECIAL).save_pretrained(folder)
    return folder
