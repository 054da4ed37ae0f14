"""MiniCPM-V: the whole image and slices of it, of their own shapes, on Qwen3.5's text model."""

from pathlib import Path

from transformers import MiniCPMV4_6Config, MiniCPMV4_6ForConditionalGeneration

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write
from families.qwen import QWEN3_5_LOUDER, QWEN_CHAT, THINKS, qwen3_5_text

TOKENS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}


def minicpmv4_6(folder: Path, seed: int = 0) -> Path:
    """MiniCPM-V 4.6: 16 patches of 4 pixels in a token."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *TOKENS.values(), "<think>", "</think>"]
    tokenizer = tokenizer_of(special, **TOKENS)
    config = MiniCPMV4_6Config(
        text_config={"model_type": "qwen3_5_text", **qwen3_5_text(len(tokenizer))},
        vision_config=vision_sizes(image_size=64, patch_size=4),
        insert_layer_id=0,
        image_size=32,
        image_token_id=IMAGE,
        video_token_id=4,
        tie_word_embeddings=False,
    )
    shared = {"processor_class": "MiniCPMV4_6Processor", "scale_resolution": 32, "patch_size": 4, "max_slice_nums": 4}
    return write(
        folder,
        MiniCPMV4_6ForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<|image_pad|>", **QWEN_CHAT, answer=THINKS),
        louder=QWEN3_5_LOUDER,
        preprocessor_config={**shared, "image_processor_type": "MiniCPMV4_6ImageProcessor"},
        processor_config={"processor_class": "MiniCPMV4_6Processor"},
        video_preprocessor_config={**shared, "video_processor_type": "MiniCPMV4_6VideoProcessor"},
    )
