"""Google's families. Gemma attends to the tokens of an image in both directions."""

from pathlib import Path
from typing import Any

from tiny_checkpoints import text_sizes
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    GemmaConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write

GEMMA_CHAT = {
    "user": "<start_of_turn>user\n",
    "assistant": "<start_of_turn>model\n",
    "end": "<end_of_turn>\n",
    "start": "<bos>",
}


def gemma_text(vocabulary: int, **others: Any) -> dict[str, Any]:
    """Two layers, the first with a window shorter than most prompts."""
    layers = ["sliding_attention", "full_attention"]
    return {**text_sizes(vocabulary), "head_dim": 16, "sliding_window": 512, "layer_types": layers, **others}


def gemma3_tokenizer() -> PreTrainedTokenizerFast:
    named = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
    turns = ["<start_of_turn>", "<end_of_turn>"]
    return tokenizer_of(["<pad>", "<bos>", "<eos>", *named.values(), *turns], begins=True, **named)


def gemma3(folder: Path, seed: int = 0) -> Path:
    """Gemma 3: 16 patches of SigLIP in 4 tokens. Its template writes the begin-of-image token."""
    tokenizer = gemma3_tokenizer()
    config = Gemma3Config(
        vision_config=vision_sizes(patch_size=7, vision_use_head=False),
        text_config=gemma_text(len(tokenizer), query_pre_attn_scalar=16),
        mm_tokens_per_image=4,
        image_token_index=IMAGE,
        boi_token_index=4,
        eoi_token_index=5,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        Gemma3ForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<start_of_image>", **GEMMA_CHAT),
        louder={"embed_tokens": 32**-0.5},
        preprocessor_config={
            "image_processor_type": "Gemma3ImageProcessor",
            "processor_class": "Gemma3Processor",
            "size": {"height": 28, "width": 28},
            "image_seq_length": 4,
        },
        processor_config={"processor_class": "Gemma3Processor", "image_seq_length": 4},
    )


def paligemma(folder: Path, seed: int = 0) -> Path:
    """PaliGemma, which has no chat template on the hub: it was not made for conversations, and cannot be run.

    Its processor adds 1,152 tokens for places and segments to the vocabulary.
    """
    tokenizer = tokenizer_of(["<pad>", "<bos>", "<eos>", "<image>"], begins=True)
    vocabulary = len(tokenizer) + 1024 + 128
    text = text_sizes(vocabulary)
    config = PaliGemmaConfig(
        vision_config=vision_sizes(vision_use_head=False),
        text_config=GemmaConfig(**text, head_dim=16),
        image_token_index=IMAGE,
        vocab_size=vocabulary,
        projection_dim=32,
        hidden_size=32,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        PaliGemmaForConditionalGeneration,
        config,
        seed,
        tokenizer,
        None,
        louder={"embed_tokens": 32**-0.5},
        preprocessor_config={
            "image_processor_type": "SiglipImageProcessor",
            "processor_class": "PaliGemmaProcessor",
            "size": {"height": 28, "width": 28},
            "image_seq_length": 4,
        },
    )


def gemma4(folder: Path, seed: int = 0) -> Path:
    """Gemma 4 as E2B: embeddings of their own for each layer, and layers that share keys and values. All of its
    processors stand in one file. An image has up to 70 tokens, the fewest that it may have."""
    named = {"image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>"}
    named |= {"audio_token": "<|audio|>", "boa_token": "<|audio>", "eoa_token": "<audio|>"}
    turns = ["<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|video|>"]
    tokenizer = tokenizer_of(["<pad>", "<bos>", "<eos>", *named.values(), *turns], begins=True, **named)
    text = gemma_text(
        len(tokenizer),
        global_head_dim=16,
        num_hidden_layers=4,
        layer_types=["sliding_attention", "full_attention"] * 2,
        num_kv_shared_layers=2,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=len(tokenizer),
        final_logit_softcapping=30.0,
    )
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Gemma4Config(
        text_config=text,
        vision_config={
            **vision,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "patch_size": 4,
            "position_embedding_size": 256,
        },
        audio_config=None,
        image_token_id=IMAGE,
        boi_token_id=4,
        eoi_token_id=5,
        audio_token_id=6,
        boa_token_id=7,
        eoa_token_index=8,
        video_token_id=13,
        tie_word_embeddings=False,
    )
    patches = {"patch_size": 4, "max_soft_tokens": 70, "pooling_kernel_size": 3}
    return write(
        folder,
        Gemma4ForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<|image|>", user="<|turn>user\n", assistant="<|turn>model\n", end="<turn|>\n", start="<bos>"),
        louder={"embed_tokens": 32**-0.5},
        processor_config={
            "processor_class": "Gemma4Processor",
            "image_seq_length": 70,
            "feature_extractor": {"feature_extractor_type": "Gemma4AudioFeatureExtractor"},
            "image_processor": {"image_processor_type": "Gemma4ImageProcessor", **patches},
            "video_processor": {"video_processor_type": "Gemma4VideoProcessor", **patches},
        },
    )
