"""Ovis: the tower's patches are words of a visual vocabulary, and tokens around them are looked up in it too."""

from pathlib import Path

from tiny_checkpoints import text_sizes
from transformers import Ovis2Config, Ovis2ForConditionalGeneration, Qwen2Config

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write
from families.qwen import QWEN_CHAT

INDICATORS = ["<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"]


def ovis2(folder: Path, seed: int = 0) -> Path:
    """Ovis2 in the form that transformers runs ("-hf"): tiles of 28 pixels with 4 tokens."""
    tokenizer = tokenizer_of(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<IMG_ATOM>", *INDICATORS, "<image>"])
    config = Ovis2Config(
        vision_config={**vision_sizes(patch_size=7), "vocab_size": 32, "hidden_stride": 2},
        text_config=Qwen2Config(**text_sizes(len(tokenizer))),
        image_token_id=IMAGE,
        visual_indicator_token_ids=[4, 5, 6, 7, 8],
        vocab_size=len(tokenizer),
        hidden_size=32,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        Ovis2ForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<image>\n", **QWEN_CHAT),
        preprocessor_config={
            "image_processor_type": "Ovis2ImageProcessor",
            "processor_class": "Ovis2Processor",
            "size": {"height": 28, "width": 28},
            "crop_to_patches": True,
            "max_patches": 4,
        },
        processor_config={"processor_class": "Ovis2Processor", "image_seq_length": 4},
    )
