"""InternVL: tiles of 28 pixels, four patches merged into a token."""

from pathlib import Path

from tiny_checkpoints import text_sizes
from transformers import InternVLConfig, InternVLForConditionalGeneration, Qwen2Config

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write
from families.qwen import QWEN_CHAT


def internvl(folder: Path, seed: int = 0) -> Path:
    """InternVL3 in the form that transformers runs ("-hf")."""
    markers = {"start_image_token": "<img>", "end_image_token": "</img>", "video_token": "<video>"}
    tokenizer = tokenizer_of(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<IMG_CONTEXT>", *markers.values()],
        context_image_token="<IMG_CONTEXT>",
        **markers,
    )
    config = InternVLConfig(
        vision_config=vision_sizes(image_size=[28, 28], patch_size=[7, 7]),
        text_config=Qwen2Config(**text_sizes(len(tokenizer))),
        image_token_id=IMAGE,
        image_seq_length=4,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        InternVLForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<IMG_CONTEXT>\n", **QWEN_CHAT),
        louder={"o_proj": 3},
        preprocessor_config={
            "image_processor_type": "GotOcr2ImageProcessorFast",
            "processor_class": "InternVLProcessor",
            "size": {"height": 28, "width": 28},
            "crop_to_patches": True,
            "min_patches": 1,
            "max_patches": 4,
        },
        processor_config={"processor_class": "InternVLProcessor", "image_seq_length": 4},
        video_preprocessor_config={
            "video_processor_type": "InternVLVideoProcessor",
            "processor_class": "InternVLProcessor",
            "size": {"height": 28, "width": 28},
        },
    )
