"""Zhipu's GLM-V families: Qwen-VL's plan with other parts. They think, and an answer ends where the next turn opens."""

from pathlib import Path
from typing import Any

from tiny_checkpoints import text_sizes
from transformers import (
    Glm4vConfig,
    Glm4vForConditionalGeneration,
    Glm46VConfig,
    Glm46VForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from families.parts import IMAGE, chat, tokenizer_of, write

MARKERS = ["<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", "<|video|>"]
GLM_CHAT = {"start": "[gMASK]<sop>", "user": "<|user|>\n", "assistant": "<|assistant|>\n", "end": ""}
GLM_IMAGE = "<|begin_of_image|><|image|><|end_of_image|>"
NO_THINK = (
    "'<|assistant|>\\n' if enable_thinking is not defined or enable_thinking else '<|assistant|>\\n<think></think>\\n'"
)


def glm_tokenizer() -> PreTrainedTokenizerFast:
    turns = ["[gMASK]", "<sop>", "<|assistant|>", "<think>", "</think>", "<answer>", "</answer>"]
    return tokenizer_of(["<|endoftext|>", "<|system|>", "<|user|>", "<|image|>", *MARKERS, *turns])


def glm_sizes(vocabulary: int) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "partial_rotary_factor": 0.5, "rope_theta": 10000.0}
    return {
        "text_config": {**text_sizes(vocabulary), "rope_parameters": rope},
        "vision_config": {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "out_hidden_size": 32,
            "num_heads": 2,
            "patch_size": 14,
            "image_size": 84,
            "spatial_merge_size": 2,
        },
        "image_token_id": IMAGE,
        "image_start_token_id": 4,
        "image_end_token_id": 5,
        "video_start_token_id": 6,
        "video_end_token_id": 7,
        "video_token_id": 8,
        "tie_word_embeddings": False,
    }


def glm_files(name: str) -> dict[str, dict[str, Any]]:
    patches = {"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2, "processor_class": f"{name}Processor"}
    size = {"shortest_edge": 56 * 56, "longest_edge": 84 * 84 * 2}
    return {
        "preprocessor_config": {"image_processor_type": f"{name}ImageProcessor", **patches, "size": size},
        "video_preprocessor_config": {"video_processor_type": f"{name}VideoProcessor", **patches, "size": size},
    }


def glm4v(folder: Path, seed: int = 0) -> Path:
    """GLM-4.1V."""
    tokenizer = glm_tokenizer()
    config = Glm4vConfig(**glm_sizes(len(tokenizer)))
    template = chat(GLM_IMAGE, **GLM_CHAT, answer=NO_THINK)
    return write(folder, Glm4vForConditionalGeneration, config, seed, tokenizer, template, **glm_files("Glm4v"))


def glm46v(folder: Path, seed: int = 0) -> Path:
    """GLM-4.6V-Flash: GLM-4.1V's parts under another name, with processors of its own."""
    tokenizer = glm_tokenizer()
    sizes = glm_sizes(len(tokenizer))
    for part, kind in (("text_config", "glm4v_text"), ("vision_config", "glm4v_vision")):
        sizes[part]["model_type"] = kind
    template = chat(GLM_IMAGE, **GLM_CHAT, answer=NO_THINK)
    model = Glm46VForConditionalGeneration
    return write(folder, model, Glm46VConfig(**sizes), seed, tokenizer, template, **glm_files("Glm46V"))
