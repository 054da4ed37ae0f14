"""Mistral's families: images keep their shape, and a token ends each row of patches."""

from pathlib import Path
from typing import Any

from tiny_checkpoints import text_sizes
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PixtralVisionConfig,
    PreTrainedTokenizerFast,
)

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write

MISTRAL_CHAT = {"start": "<s>", "user": "[INST]", "user_end": "[/INST]", "assistant": "", "end": "</s>"}


def mistral_tokenizer() -> PreTrainedTokenizerFast:
    return tokenizer_of(["<pad>", "<s>", "</s>", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]"], begins=True)


def pixtral_vision() -> PixtralVisionConfig:
    return PixtralVisionConfig(**vision_sizes(image_size=56, patch_size=7))


def pixtral_files(image_processor: str, pixels: int, **values: Any) -> dict[str, dict[str, Any]]:
    tokens = {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"}
    return {
        "preprocessor_config": {
            "image_processor_type": image_processor,
            "processor_class": "PixtralProcessor",
            "patch_size": {"height": 7, "width": 7},
            "size": {"longest_edge": pixels},
        },
        "processor_config": {"processor_class": "PixtralProcessor", "patch_size": 7, **tokens, **values},
    }


def pixtral(folder: Path, seed: int = 0) -> Path:
    """Pixtral 12B in the form that transformers runs: `model_type` llava, with Pixtral's tower and processor."""
    tokenizer = mistral_tokenizer()
    config = LlavaConfig(
        vision_config=pixtral_vision(),
        text_config=MistralConfig(**text_sizes(len(tokenizer)), head_dim=16, sliding_window=None),
        image_token_index=IMAGE,
        image_seq_length=1,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=False,
    )
    template = chat("[IMG]", **MISTRAL_CHAT)
    files = pixtral_files("PixtralImageProcessor", pixels=28)
    return write(folder, LlavaForConditionalGeneration, config, seed, tokenizer, template, **files)


def mistral3(folder: Path, seed: int = 0) -> Path:
    """Mistral Small 3.1: four patches merged into a token."""
    tokenizer = mistral_tokenizer()
    config = Mistral3Config(
        vision_config=pixtral_vision(),
        text_config=MistralConfig(**text_sizes(len(tokenizer)), head_dim=16, sliding_window=None),
        image_token_index=IMAGE,
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    template = chat("[IMG]", **MISTRAL_CHAT)
    files = pixtral_files("PixtralImageProcessorFast", pixels=56, spatial_merge_size=2)
    return write(folder, Mistral3ForConditionalGeneration, config, seed, tokenizer, template, **files)
