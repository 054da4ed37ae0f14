"""The Qwen-VL families: images keep their shape, positions have three axes, prompts carry `mm_token_type_ids`."""

from pathlib import Path
from typing import Any

from tiny_checkpoints import text_sizes
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3_5MoeConfig,
    Qwen3_5MoeForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
)

from families.parts import IMAGE, chat, tokenizer_of, write

QWEN_CHAT = {"user": "<|im_start|>user\n", "assistant": "<|im_start|>assistant\n", "end": "<|im_end|>\n"}
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
THINKS = (
    "'<|im_start|>assistant\\n<think>\\n' if enable_thinking is not defined or enable_thinking "
    "else '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n'"
)
IDS = {
    "image_token_id": IMAGE,
    "video_token_id": 4,
    "vision_start_token_id": 5,
    "vision_end_token_id": 6,
    "tie_word_embeddings": False,
}
QWEN3_5_LOUDER = {"o_proj": 8, "linear_attn.out_proj": 8}
PATCHES = {"temporal_patch_size": 2, "merge_size": 2}


def qwen_tokenizer() -> PreTrainedTokenizerFast:
    markers = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<think>", "</think>"]
    return tokenizer_of(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *markers])


def qwen_text(vocabulary: int, **others: Any) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    return {**text_sizes(vocabulary), "rope_parameters": rope, **others}


def qwen3_5_text(vocabulary: int) -> dict[str, Any]:
    text = qwen_text(
        vocabulary,
        head_dim=16,
        layer_types=["linear_attention", "full_attention"],
        linear_num_value_heads=2,
        linear_num_key_heads=2,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
    )
    text["rope_parameters"]["partial_rotary_factor"] = 1.0
    return text


def qwen3_vision(**others: Any) -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "out_hidden_size": 32,
        "num_heads": 2,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "num_position_embeddings": 16,
        **others,
    }


def qwen2_files(processor: str) -> dict[str, dict[str, Any]]:
    """Two to three patches a side. The hub has no file for the video processor, which is made from these values too."""
    values = {"min_pixels": 56 * 56, "max_pixels": 84 * 84, "patch_size": 14, **PATCHES}
    classes = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": processor}
    return {"preprocessor_config": {**values, **classes}}


def qwen3_files() -> dict[str, dict[str, Any]]:
    values = {"size": {"shortest_edge": 64 * 64, "longest_edge": 96 * 96}, "patch_size": 16, **PATCHES}
    shared = {**values, "processor_class": "Qwen3VLProcessor", "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return {
        "preprocessor_config": {**shared, "image_processor_type": "Qwen2VLImageProcessorFast"},
        "video_preprocessor_config": {**shared, "video_processor_type": "Qwen3VLVideoProcessor"},
    }


def qwen2_vl(folder: Path, seed: int = 0) -> Path:
    """Qwen2-VL."""
    tokenizer = qwen_tokenizer()
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 14}
    config = Qwen2VLConfig(
        text_config=qwen_text(len(tokenizer)), vision_config={**vision, "spatial_merge_size": 2}, **IDS
    )
    files = qwen2_files("Qwen2VLProcessor")
    return write(
        folder, Qwen2VLForConditionalGeneration, config, seed, tokenizer, chat(QWEN_IMAGE, **QWEN_CHAT), **files
    )


def qwen2_5_vl(folder: Path, seed: int = 0) -> Path:
    """Qwen2.5-VL: windows of attention in the tower."""
    tokenizer = qwen_tokenizer()
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "out_hidden_size": 32,
        "num_heads": 2,
        "intermediate_size": 64,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "window_size": 56,
        "fullatt_block_indexes": [1],
    }
    config = Qwen2_5_VLConfig(text_config=qwen_text(len(tokenizer)), vision_config=vision, **IDS)
    files = qwen2_files("Qwen2_5_VLProcessor")
    return write(
        folder, Qwen2_5_VLForConditionalGeneration, config, seed, tokenizer, chat(QWEN_IMAGE, **QWEN_CHAT), **files
    )


def qwen3_vl(folder: Path, seed: int = 0) -> Path:
    """Qwen3-VL: features of several depths of the tower are added to several layers of the text ("deepstack")."""
    tokenizer = qwen_tokenizer()
    config = Qwen3VLConfig(
        text_config=qwen_text(len(tokenizer), head_dim=16),
        vision_config=qwen3_vision(depth=3, deepstack_visual_indexes=[0, 1]),
        **IDS,
    )
    return write(
        folder, Qwen3VLForConditionalGeneration, config, seed, tokenizer, chat(QWEN_IMAGE, **QWEN_CHAT), **qwen3_files()
    )


def qwen3_vl_moe(folder: Path, seed: int = 0) -> Path:
    """Qwen3-VL with 4 experts, 2 a token."""
    tokenizer = qwen_tokenizer()
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "decoder_sparse_step": 1}
    config = Qwen3VLMoeConfig(
        text_config=qwen_text(len(tokenizer), head_dim=16, **experts),
        vision_config=qwen3_vision(depth=3, deepstack_visual_indexes=[0, 1]),
        **IDS,
    )
    model = Qwen3VLMoeForConditionalGeneration
    return write(folder, model, config, seed, tokenizer, chat(QWEN_IMAGE, **QWEN_CHAT), **qwen3_files())


def qwen3_5(folder: Path, seed: int = 0) -> Path:
    """Qwen3.5: a layer of linear attention, whose state is not a cache of positions, and one of full attention. Thinks."""
    tokenizer = qwen_tokenizer()
    config = Qwen3_5Config(text_config=qwen3_5_text(len(tokenizer)), vision_config=qwen3_vision(), **IDS)
    template = chat(QWEN_IMAGE, **QWEN_CHAT, answer=THINKS)
    model = Qwen3_5ForConditionalGeneration
    return write(folder, model, config, seed, tokenizer, template, louder=QWEN3_5_LOUDER, **qwen3_files())


def qwen3_5_moe(folder: Path, seed: int = 0) -> Path:
    """Qwen3.5 with 4 experts, 2 a token, and one that all share. Thinks."""
    tokenizer = qwen_tokenizer()
    experts = {"num_experts": 4, "num_experts_per_tok": 2}
    experts |= {"moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
    text = qwen3_5_text(len(tokenizer)) | experts
    config = Qwen3_5MoeConfig(text_config=text, vision_config=qwen3_vision(), **IDS)
    template = chat(QWEN_IMAGE, **QWEN_CHAT, answer=THINKS)
    model = Qwen3_5MoeForConditionalGeneration
    return write(folder, model, config, seed, tokenizer, template, louder=QWEN3_5_LOUDER, **qwen3_files())
