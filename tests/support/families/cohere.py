"""Cohere's families: tiles of 28 pixels with 4 tokens, and logits that are scaled down."""

from pathlib import Path
from typing import Any

from tiny_checkpoints import text_sizes
from transformers import (
    AyaVisionConfig,
    AyaVisionForConditionalGeneration,
    Cohere2Config,
    Cohere2VisionConfig,
    Cohere2VisionForConditionalGeneration,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write

TURN = "<|START_OF_TURN_TOKEN|>"
COHERE_CHAT = {
    "start": "<BOS_TOKEN>",
    "user": f"{TURN}<|USER_TOKEN|>",
    "assistant": f"{TURN}<|CHATBOT_TOKEN|>",
    "end": "<|END_OF_TURN_TOKEN|>",
}


def cohere_tokenizer(*markers: str, **named: str) -> PreTrainedTokenizerFast:
    special = ["<PAD>", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<|IMG_PATCH|>"]
    turns = [TURN, "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_LINE_BREAK|>"]
    return tokenizer_of([*special, *turns, *markers], begins=True, **named)


def cohere_text(vocabulary: int) -> Cohere2Config:
    layers = ["sliding_attention", "full_attention"]
    return Cohere2Config(**text_sizes(vocabulary), sliding_window=512, layer_types=layers)


def tiles(processor: str, image_processor: str, **values: Any) -> dict[str, Any]:
    return {
        "image_processor_type": image_processor,
        "processor_class": processor,
        "size": {"height": 28, "width": 28},
        "crop_to_patches": True,
        "min_patches": 1,
        "max_patches": 4,
        **values,
    }


def aya_vision(folder: Path, seed: int = 0) -> Path:
    """Aya Vision. "<image>" in a prompt becomes tokens with another name."""
    tokenizer = cohere_tokenizer("<image>", "TILE_GLOBAL", *(f"TILE_{number}" for number in range(1, 5)))
    config = AyaVisionConfig(
        vision_config=SiglipVisionConfig(**vision_sizes(patch_size=7), vision_use_head=False),
        text_config=cohere_text(len(tokenizer)),
        image_token_index=IMAGE,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        AyaVisionForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<image>", **COHERE_CHAT),
        louder={"o_proj": 6},
        preprocessor_config=tiles("AyaVisionProcessor", "GotOcr2ImageProcessor"),
        processor_config={
            "processor_class": "AyaVisionProcessor",
            "image_token": "<image>",
            "img_size": 28,
            "patch_size": 7,
            "downsample_factor": 2,
        },
    )


def cohere2_vision(folder: Path, seed: int = 0) -> Path:
    """Command A Vision. Its image processor's `patch_size` is the number of tokens along a tile."""
    named = {"image_token": "<|IMG_PATCH|>", "boi_token": "<|START_OF_IMG|>", "eoi_token": "<|END_OF_IMG|>"}
    tokenizer = cohere_tokenizer(**named, img_line_break_token="<|IMG_LINE_BREAK|>")
    config = Cohere2VisionConfig(
        vision_config=SiglipVisionConfig(**vision_sizes(patch_size=7), vision_use_head=False),
        text_config=cohere_text(len(tokenizer)),
        image_token_id=IMAGE,
        alignment_intermediate_size=64,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        Cohere2VisionForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<|IMG_PATCH|>", **COHERE_CHAT),
        preprocessor_config=tiles("Cohere2VisionProcessor", "Cohere2VisionImageProcessorFast", patch_size=2),
        processor_config={"processor_class": "Cohere2VisionProcessor"},
    )
