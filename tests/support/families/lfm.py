"""Liquid's LFM2-VL: layers of short convolutions, whose state is not a cache of positions, between layers of attention."""

from pathlib import Path

from tiny_checkpoints import text_sizes
from transformers import Lfm2Config, Lfm2VlConfig, Lfm2VlForConditionalGeneration, Siglip2VisionConfig

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write
from families.qwen import QWEN_CHAT


def lfm2_vl(folder: Path, seed: int = 0) -> Path:
    """LFM2-VL: tiles of 16 pixels with 4 tokens, and a thumbnail."""
    named = {"image_token": "<image>", "image_start_token": "<|image_start|>", "image_end_token": "<|image_end|>"}
    named |= {"image_thumbnail": "<|img_thumbnail|>"}
    tiles = [f"<|img_row_{row}_col_{column}|>" for row in range(1, 5) for column in range(1, 5)]
    special = ["<|pad|>", "<|startoftext|>", "<|im_end|>", *named.values(), "<|im_start|>", *tiles]
    tokenizer = tokenizer_of(special, begins=True, **named)
    vision = vision_sizes(patch_size=4, num_patches=16, vision_use_head=False)
    vision.pop("image_size")
    config = Lfm2VlConfig(
        vision_config=Siglip2VisionConfig(**vision),
        text_config=Lfm2Config(
            **text_sizes(len(tokenizer)), layer_types=["conv", "full_attention"], block_auto_adjust_ff_dim=False
        ),
        image_token_id=IMAGE,
        projector_hidden_size=64,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        Lfm2VlForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<image>", **QWEN_CHAT, start="<|startoftext|>"),
        louder={"language_model.layers.1.self_attn.out_proj": 6},
        preprocessor_config={
            "image_processor_type": "Lfm2VlImageProcessorFast",
            "processor_class": "Lfm2VlProcessor",
            "do_image_splitting": True,
            "encoder_patch_size": 4,
            "tile_size": 16,
            "min_tiles": 2,
            "max_tiles": 4,
            "min_image_tokens": 2,
            "max_image_tokens": 4,
            "use_thumbnail": True,
        },
        processor_config={"processor_class": "Lfm2VlProcessor"},
    )
