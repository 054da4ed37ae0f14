"""LLaVA and what grew out of it: a tower's patches, through two linear layers, in place of image tokens."""

from pathlib import Path

from tiny_checkpoints import SPECIAL, clip_sizes, text_sizes
from transformers import (
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2Config,
    SiglipVisionConfig,
)

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write
from families.qwen import QWEN_CHAT

VICUNA_CHAT = {"user": "USER: ", "assistant": "ASSISTANT: ", "end": " ", "answer": "'ASSISTANT:'"}
PINS = [[28, 56], [56, 28], [56, 56]]


def llava(folder: Path, seed: int = 0) -> Path:
    """LLaVA-1.5: one square of 28 pixels, 4 patches."""
    tokenizer = tokenizer_of(SPECIAL, begins=True)
    config = LlavaConfig(
        vision_config=clip_sizes(),
        text_config=LlamaConfig(**text_sizes(len(tokenizer))),
        image_token_index=IMAGE,
        image_seq_length=4,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        LlavaForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<image>\n", **VICUNA_CHAT),
        preprocessor_config={
            "image_processor_type": "CLIPImageProcessor",
            "processor_class": "LlavaProcessor",
            "size": {"shortest_edge": 28},
            "crop_size": {"height": 28, "width": 28},
        },
        processor_config={
            "processor_class": "LlavaProcessor",
            "image_token": "<image>",
            "num_additional_image_tokens": 1,
            "patch_size": 14,
            "vision_feature_select_strategy": "default",
        },
    )


def llava_next(folder: Path, seed: int = 0) -> Path:
    """LLaVA-NeXT: the whole image and, by its shape, 2 or 4 crops."""
    tokenizer = tokenizer_of(SPECIAL, begins=True)
    config = LlavaNextConfig(
        vision_config=clip_sizes(),
        text_config=LlamaConfig(**text_sizes(len(tokenizer))),
        image_token_index=IMAGE,
        image_grid_pinpoints=PINS,
        image_seq_length=4,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        LlavaNextForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<image>\n", **VICUNA_CHAT),
        preprocessor_config={
            "image_processor_type": "LlavaNextImageProcessor",
            "processor_class": "LlavaNextProcessor",
            "size": {"shortest_edge": 28},
            "crop_size": {"height": 28, "width": 28},
            "image_grid_pinpoints": PINS,
        },
        processor_config={
            "processor_class": "LlavaNextProcessor",
            "image_token": "<image>",
            "num_additional_image_tokens": 1,
            "patch_size": 14,
            "vision_feature_select_strategy": "default",
        },
    )


def llava_onevision(folder: Path, seed: int = 0) -> Path:
    """LLaVA-OneVision: SigLIP, crops of 28 pixels with 16 patches each, Qwen2."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
    tokenizer = tokenizer_of(special)
    pins = [[28, 28], *PINS]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**vision_sizes(patch_size=7), vision_use_head=False),
        text_config=Qwen2Config(**text_sizes(len(tokenizer))),
        image_token_index=IMAGE,
        video_token_index=4,
        image_grid_pinpoints=pins,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        LlavaOnevisionForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<image>\n", **QWEN_CHAT),
        louder={"o_proj": 3},
        preprocessor_config={
            "image_processor_type": "LlavaOnevisionImageProcessor",
            "processor_class": "LlavaOnevisionProcessor",
            "size": {"height": 28, "width": 28},
            "image_grid_pinpoints": pins,
        },
        processor_config={
            "processor_class": "LlavaOnevisionProcessor",
            "image_token": "<image>",
            "video_token": "<video>",
            "num_image_tokens": 16,
            "vision_feature_select_strategy": "full",
        },
        video_preprocessor_config={
            "video_processor_type": "LlavaOnevisionVideoProcessor",
            "processor_class": "LlavaOnevisionProcessor",
            "size": {"height": 28, "width": 28},
        },
    )
