"""Checkpoint folders of current model families as the hub has them, tiny and with random weights.

    FAMILIES["qwen3_vl"](folder, seed) -> folder      # config.json, weights, tokenizer, chat template, processors' files

What tiny_checkpoints.py says of its checkpoints holds for these too. Files name the classes that the hub's files name, so that
transformers picks the real processors. Templates are our own, with the family's special tokens.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import more_families as more
import tiny_checkpoints as tiny
import transformers
from family_files import CHAT, CLIP, HALF, QWEN, QWEN_IDS, SIGLIP, UNTIED, images, rope, template, tokenizer_with, write
from tiny_checkpoints import IDEFICS_TEMPLATE, QWEN_TEMPLATE, byte_level_bpe, text_sizes


def qwen2_vl(folder: Path, seed: int) -> Path:
    model, processor = tiny.qwen2_vl(seed)
    settings = {
        "min_pixels": 56 * 56,
        "max_pixels": 84 * 84,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    of_images = images("Qwen2VLImageProcessor", "Qwen2VLProcessor", **settings, **CLIP)
    return write(folder, seed, model, processor.tokenizer, QWEN_TEMPLATE, {"preprocessor_config": of_images})


def qwen2_5_vl(folder: Path, seed: int) -> Path:
    tokenizer = byte_level_bpe(QWEN)
    config = transformers.Qwen2_5_VLConfig(
        text_config={**text_sizes(len(tokenizer)), "rope_parameters": rope(2, 3, 3)},
        vision_config={
            **{"depth": 2, "hidden_size": 32, "out_hidden_size": 32, "num_heads": 2, "intermediate_size": 64},
            **{"patch_size": 14, "spatial_merge_size": 2, "window_size": 56, "fullatt_block_indexes": [1]},
        },
        **QWEN_IDS,
        **UNTIED,
    )
    settings = {
        "min_pixels": 56 * 56,
        "max_pixels": 84 * 84,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    of_images = images("Qwen2VLImageProcessor", "Qwen2_5_VLProcessor", **settings, **CLIP)
    model = transformers.Qwen2_5_VLForConditionalGeneration(config)
    return write(folder, seed, model, tokenizer, QWEN_TEMPLATE, {"preprocessor_config": of_images})


def qwen3_files() -> dict[str, dict[str, Any]]:
    """The processor files of Qwen3-VL and Qwen3.5."""
    size = {"shortest_edge": 64 * 64, "longest_edge": 96 * 96}
    settings = {"size": size, "patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
    return {
        "preprocessor_config": images("Qwen2VLImageProcessorFast", "Qwen3VLProcessor", **settings, **HALF),
        "video_preprocessor_config": {
            **settings,
            "video_processor_type": "Qwen3VLVideoProcessor",
            "processor_class": "Qwen3VLProcessor",
        },
    }


QWEN3_VISION = {
    **{"depth": 3, "hidden_size": 32, "out_hidden_size": 32, "num_heads": 2, "intermediate_size": 64, "patch_size": 16},
    **{"spatial_merge_size": 2, "num_position_embeddings": 16},
}


def qwen3_vl(folder: Path, seed: int) -> Path:
    tokenizer = byte_level_bpe(QWEN)
    config = transformers.Qwen3VLConfig(
        text_config={**text_sizes(len(tokenizer)), "head_dim": 16, "rope_parameters": rope(2, 3, 3)},
        vision_config={**QWEN3_VISION, "deepstack_visual_indexes": [0, 1]},
        **QWEN_IDS,
        **UNTIED,
    )
    model = transformers.Qwen3VLForConditionalGeneration(config)
    return write(folder, seed, model, tokenizer, QWEN_TEMPLATE, qwen3_files())


def qwen3_vl_moe(folder: Path, seed: int) -> Path:
    tokenizer = byte_level_bpe(QWEN)
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "decoder_sparse_step": 1}
    config = transformers.Qwen3VLMoeConfig(
        text_config={**text_sizes(len(tokenizer)), "head_dim": 16, "rope_parameters": rope(2, 3, 3), **experts},
        vision_config={**QWEN3_VISION, "deepstack_visual_indexes": [0, 1]},
        **QWEN_IDS,
        **UNTIED,
    )
    model = transformers.Qwen3VLMoeForConditionalGeneration(config)
    return write(folder, seed, model, tokenizer, QWEN_TEMPLATE, qwen3_files())


def qwen3_5(folder: Path, seed: int) -> Path:
    """Half of its layers are recurrent. Its template opens a thought unless it is told not to."""
    tokenizer = byte_level_bpe([*QWEN, "<think>", "</think>"])
    linear = {
        "linear_num_value_heads": 2,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
    }
    config = transformers.Qwen3_5Config(
        text_config={
            **text_sizes(len(tokenizer)),
            **{"head_dim": 16, "rope_parameters": {**rope(2, 3, 3), "partial_rotary_factor": 1.0}},
            **{"layer_types": ["linear_attention", "full_attention"], **linear},
        },
        vision_config=QWEN3_VISION,
        **QWEN_IDS,
        **UNTIED,
    )
    model = transformers.Qwen3_5ForConditionalGeneration(config)
    thinking = "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}"
    return write(
        folder,
        seed,
        model,
        tokenizer,
        QWEN_TEMPLATE.replace("assistant\n{% endif %}", f"assistant\n{thinking}{{% endif %}}"),
        qwen3_files(),
    )


def internvl(folder: Path, seed: int) -> Path:
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = tokenizer_with([*CHAT, "<IMG_CONTEXT>", "<img>", "</img>", "<video>"], **named)
    config = transformers.InternVLConfig(
        vision_config={
            **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"image_size": [28, 28], "patch_size": [7, 7]},
        },
        text_config=transformers.Qwen2Config(**text_sizes(len(tokenizer))),
        **{"image_token_id": 3, "image_seq_length": 4, "downsample_ratio": 0.5},
        **UNTIED,
    )
    settings = {"crop_to_patches": True, "min_patches": 1, "max_patches": 4, "size": {"height": 28, "width": 28}}
    files = {
        "preprocessor_config": images("GotOcr2ImageProcessorFast", "InternVLProcessor", **settings, **CLIP),
        "processor_config": {"image_seq_length": 4, "processor_class": "InternVLProcessor"},
    }
    model = transformers.InternVLForConditionalGeneration(config)
    return write(folder, seed, model, tokenizer, template("<IMG_CONTEXT>\n"), files)


def llava_onevision(folder: Path, seed: int) -> Path:
    tokenizer = byte_level_bpe([*CHAT, "<image>", "<video>"])
    grid = [[28, 28], [28, 56], [56, 28], [56, 56]]
    config = transformers.LlavaOnevisionConfig(
        vision_config=transformers.SiglipVisionConfig(**SIGLIP),
        text_config=transformers.Qwen2Config(**text_sizes(len(tokenizer))),
        **{"image_token_index": 3, "video_token_index": 4, "image_grid_pinpoints": grid, "vision_feature_layer": -1},
        **UNTIED,
    )
    size = {"size": {"height": 28, "width": 28}, "image_grid_pinpoints": grid}
    files = {
        "preprocessor_config": images("LlavaOnevisionImageProcessor", "LlavaOnevisionProcessor", **size, **CLIP),
        "processor_config": {
            **{"num_image_tokens": 16, "vision_feature_select_strategy": "full", "vision_aspect_ratio": "anyres_max_9"},
            **{"image_token": "<image>", "video_token": "<video>", "processor_class": "LlavaOnevisionProcessor"},
        },
    }
    model = transformers.LlavaOnevisionForConditionalGeneration(config)
    return write(folder, seed, model, tokenizer, template("<image>\n"), files)


def smolvlm(folder: Path, seed: int) -> Path:
    """SmolVLM2, with its own processor."""
    sizes, processor = tiny.idefics3_parts()
    settings = {
        **{"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}, "do_image_splitting": True},
        "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 64}},
    }
    files = {
        "preprocessor_config": images("SmolVLMImageProcessor", "SmolVLMProcessor", **settings, **HALF),
        "processor_config": {"image_seq_len": 4, "processor_class": "SmolVLMProcessor"},
    }
    model = transformers.SmolVLMForConditionalGeneration(transformers.SmolVLMConfig(**sizes))
    return write(folder, seed, model, processor.tokenizer, IDEFICS_TEMPLATE, files)


GEMMA = [
    "<pad>",
    "<bos>",
    "<eos>",
    "<image_soft_token>",
    "<start_of_image>",
    "<end_of_image>",
    "<start_of_turn>",
    "<end_of_turn>",
]


def gemma3(folder: Path, seed: int) -> Path:
    """Image tokens see each other, and every other layer looks back 512 tokens only."""
    named = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
    tokenizer = tokenizer_with(GEMMA, **named)
    config = transformers.Gemma3Config(
        vision_config=SIGLIP,
        text_config={
            **text_sizes(len(tokenizer)),
            **{"head_dim": 16, "sliding_window": 512, "layer_types": ["sliding_attention", "full_attention"]},
            "query_pre_attn_scalar": 16,
        },
        **{"mm_tokens_per_image": 16, "image_token_id": 3, "boi_token_id": 4, "eoi_token_id": 5},
        **{"image_token_index": 3, "boi_token_index": 4, "eoi_token_index": 5},
        **UNTIED,
    )
    size = {"size": {"height": 28, "width": 28}, "image_seq_length": 16}
    files = {
        "preprocessor_config": images("Gemma3ImageProcessor", "Gemma3Processor", **size, **HALF),
        "processor_config": {"image_seq_length": 16, "processor_class": "Gemma3Processor"},
    }
    turns = template("<start_of_image>", "<start_of_turn>user\n", "<end_of_turn>\n", start="<bos>")
    return write(folder, seed, transformers.Gemma3ForConditionalGeneration(config), tokenizer, turns, files)


FAMILIES: Mapping[str, Callable[[Path, int], Path]] = {
    "llava": tiny.llava,
    "llava_next": tiny.llava_next,
    "llava_onevision": llava_onevision,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "qwen3_vl_moe": qwen3_vl_moe,
    "qwen3_5": qwen3_5,
    "internvl": internvl,
    "smolvlm": smolvlm,
    "idefics3": tiny.idefics3,
    "gemma3": gemma3,
    "gemma4": more.gemma4,
    "paligemma": more.paligemma,
    "mllama": more.mllama,
    "mistral3": more.mistral3,
    "glm4v": more.glm4v,
    "aya_vision": more.aya_vision,
    "lfm2_vl": more.lfm2_vl,
}
