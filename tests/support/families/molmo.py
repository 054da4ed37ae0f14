"""Ai2's Molmo 2: image tokens attend to each other in both directions, and features are added to their embeddings."""

from pathlib import Path

from tiny_checkpoints import text_sizes
from transformers import Molmo2Config, Molmo2ForConditionalGeneration

from families.parts import IMAGE, chat, tokenizer_of, write
from families.qwen import QWEN_CHAT


def molmo2(folder: Path, seed: int = 0) -> Path:
    """Molmo 2: a small view and up to 2 crops of 56 pixels, which overlap. Its processor writes the begin token itself,
    and training needs its `mm_token_type_ids`."""
    frames = ["<im_start>", "<im_end>", "<low_res_im_start>", "<im_col>", "<frame_start>", "<frame_end>", "<im_low>"]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<im_patch>", *frames, "<|image|>", "<|video|>"]
    tokenizer = tokenizer_of(special)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    config = Molmo2Config(
        vision_config={
            **heads,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "image_size": [56, 56],
            "patch_size": 14,
        },
        adapter_config={
            **heads,
            "hidden_size": 32,
            "intermediate_size": 64,
            "text_hidden_size": 32,
            "vision_feature_layer": [1, 0],
        },
        text_config={**text_sizes(len(tokenizer)), **heads, "additional_vocab_size": 8},
        image_patch_id=IMAGE,
        image_start_token_id=4,
        image_end_token_id=5,
        low_res_image_start_token_id=6,
        frame_start_token_id=8,
        frame_end_token_id=9,
        tie_word_embeddings=False,
    )
    shared = {"processor_class": "Molmo2Processor", "size": {"height": 56, "width": 56}, "patch_size": 14}
    return write(
        folder,
        Molmo2ForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<|image|>", **QWEN_CHAT),
        preprocessor_config={
            **shared,
            "image_processor_type": "Molmo2ImageProcessor",
            "max_crops": 2,
            "overlap_margins": [1, 1],
            "pooling_size": [2, 2],
        },
        processor_config={"processor_class": "Molmo2Processor"},
        video_preprocessor_config={**shared, "video_processor_type": "Molmo2VideoProcessor", "pooling_size": [3, 3]},
    )
