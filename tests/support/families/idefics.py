"""Hugging Face's families. Idefics3 and SmolVLM show a whole view and tiles of 32 pixels, 4 tokens each, marked off by
special tokens; Idefics2 a whole view, through a resampler."""

from pathlib import Path
from typing import Any

from tiny_checkpoints import SPECIAL, text_sizes
from transformers import (
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write

IDEFICS_CHAT = {"user": "User:", "assistant": "Assistant:", "end": "<end_of_utterance>\n"}


def idefics_tokenizer() -> PreTrainedTokenizerFast:
    tiles = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    markers = {"fake_image_token": "<fake_token_around_image>", "global_image_token": "<global-img>"}
    markers |= {"image_token": "<image>", "end_of_utterance_token": "<end_of_utterance>"}
    return tokenizer_of([*SPECIAL, *(name for name in markers.values() if name != "<image>"), *tiles], **markers)


def idefics_sizes(vocabulary: int) -> dict[str, Any]:
    return {
        "vision_config": vision_sizes(image_size=32, patch_size=8),
        "text_config": LlamaConfig(**text_sizes(vocabulary)),
        "image_token_id": IMAGE,
        "scale_factor": 2,
        "tie_word_embeddings": False,
    }


def idefics_files(name: str, **values: Any) -> dict[str, dict[str, Any]]:
    processor = {"processor_class": f"{name}Processor"}
    tiling = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}, "do_image_splitting": True}
    return {
        "preprocessor_config": {"image_processor_type": f"{name}ImageProcessor", **processor, **tiling, **values},
        "processor_config": {"image_seq_len": 4, **processor},
    }


def idefics3(folder: Path, seed: int = 0) -> Path:
    """Idefics3."""
    tokenizer = idefics_tokenizer()
    template, files = chat("<image>", **IDEFICS_CHAT, start="<s>"), idefics_files("Idefics3")
    config = Idefics3Config(**idefics_sizes(len(tokenizer)))
    return write(folder, Idefics3ForConditionalGeneration, config, seed, tokenizer, template, **files)


def smolvlm(folder: Path, seed: int = 0) -> Path:
    """SmolVLM2. Its processor needs num2words, for the video part."""
    tokenizer = idefics_tokenizer()
    video = {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 64}}
    template, files = chat("<image>", **IDEFICS_CHAT, start="<s>"), idefics_files("SmolVLM", video_sampling=video)
    config = SmolVLMConfig(**idefics_sizes(len(tokenizer)))
    return write(folder, SmolVLMForConditionalGeneration, config, seed, tokenizer, template, **files)


def idefics2(folder: Path, seed: int = 0) -> Path:
    """Idefics2: an image of any shape in 4 tokens."""
    named = {"image_token": "<image>", "image_boundary_token": "<fake_token_around_image>"}
    special = ["<unk>", "<s>", "</s>", *named.values(), "<end_of_utterance>"]
    tokenizer = tokenizer_of(special, begins=True, **named)
    config = Idefics2Config(
        vision_config=vision_sizes(image_size=56),
        perceiver_config={
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "num_key_value_heads": 2,
        },
        text_config=MistralConfig(**text_sizes(len(tokenizer)), sliding_window=None),
        image_token_id=IMAGE,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        Idefics2ForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<image>", **IDEFICS_CHAT),
        louder={"o_proj": 3},
        preprocessor_config={
            "image_processor_type": "Idefics2ImageProcessor",
            "processor_class": "Idefics2Processor",
            "size": {"shortest_edge": 28, "longest_edge": 56},
            "do_image_splitting": False,
        },
        processor_config={"processor_class": "Idefics2Processor", "image_seq_len": 4},
    )
