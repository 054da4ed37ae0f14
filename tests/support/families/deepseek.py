"""DeepSeek's older families: SigLIP's 4 patches in Llama; Janus also draws, which is not used here."""

from pathlib import Path

from tiny_checkpoints import text_sizes
from transformers import (
    DeepseekVLConfig,
    DeepseekVLForConditionalGeneration,
    JanusConfig,
    JanusForConditionalGeneration,
    LlamaConfig,
    SiglipVisionConfig,
)

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write

BOS_TOKEN, EOS_TOKEN = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
DEEPSEEK_CHAT = {"start": BOS_TOKEN, "user_end": "\n\n", "end": EOS_TOKEN}


def deepseek_vl(folder: Path, seed: int = 0) -> Path:
    """DeepSeek-VL 1.3B."""
    special = ["<pad>", BOS_TOKEN, EOS_TOKEN, "<image_placeholder>"]
    tokenizer = tokenizer_of(special, begins=True, image_token="<image_placeholder>")
    config = DeepseekVLConfig(
        vision_config=SiglipVisionConfig(**vision_sizes(), vision_use_head=False),
        text_config=LlamaConfig(**text_sizes(len(tokenizer))),
        image_token_id=IMAGE,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        DeepseekVLForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<image_placeholder>", user="User: ", assistant="Assistant: ", answer="'Assistant:'", **DEEPSEEK_CHAT),
        preprocessor_config={
            "image_processor_type": "DeepseekVLImageProcessor",
            "processor_class": "DeepseekVLProcessor",
            "size": {"height": 28, "width": 28},
        },
        processor_config={"processor_class": "DeepseekVLProcessor", "num_image_tokens": 4},
    )


def janus(folder: Path, seed: int = 0) -> Path:
    """Janus-Pro."""
    named = {"image_token": "<image_placeholder>", "boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"}
    roles = ["<|User|>", "<|Assistant|>"]
    tokenizer = tokenizer_of(["<pad>", BOS_TOKEN, EOS_TOKEN, *named.values(), *roles], begins=True, **named)
    config = JanusConfig(
        vision_config={**vision_sizes(mlp_ratio=2.0), "projection_dim": 32, "num_image_tokens": 4},
        vq_config={
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
            "num_embeddings": 16,
            "latent_channels": 8,
            "projection_dim": 32,
            "image_token_embed_dim": 32,
        },
        text_config=LlamaConfig(**text_sizes(len(tokenizer))),
        image_token_id=IMAGE,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        JanusForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<image_placeholder>\n", user="<|User|>: ", assistant="<|Assistant|>: ", **DEEPSEEK_CHAT),
        preprocessor_config={
            "image_processor_type": "JanusImageProcessor",
            "processor_class": "JanusProcessor",
            "size": {"height": 28, "width": 28},
        },
        processor_config={"processor_class": "JanusProcessor", "num_image_tokens": 4},
    )
