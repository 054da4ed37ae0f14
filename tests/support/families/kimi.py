"""Moonshot's Kimi: images keep their shape; DeepSeek-V3's text model, with compressed keys and values and experts."""

from pathlib import Path

from tiny_checkpoints import text_sizes
from transformers import DeepseekV3Config, Kimi_K25Config, Kimi_K25ForConditionalGeneration

from families.parts import IMAGE, chat, tokenizer_of, write

ANSWER = "<|im_assistant|>assistant<|im_middle|>"
THINKS = f"'{ANSWER}<think>' if thinking is not defined or thinking else '{ANSWER}<think></think>'"


def kimi_k25(folder: Path, seed: int = 0) -> Path:
    """Kimi K2.5."""
    media = ["<|media_pad|>", "<|media_begin|>", "<|media_content|>", "<|media_end|>", "<|kimi_k25_video_placeholder|>"]
    turns = ["<|im_user|>", "<|im_assistant|>", "<|im_middle|>", "<think>", "</think>"]
    tokenizer = tokenizer_of(["[PAD]", "[BOS]", "<|im_end|>", *media, *turns])
    text = DeepseekV3Config(
        **text_sizes(len(tokenizer)),
        moe_intermediate_size=32,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_group=1,
        topk_group=1,
        first_k_dense_replace=1,
        kv_lora_rank=16,
        q_lora_rank=16,
        qk_rope_head_dim=8,
        qk_nope_head_dim=8,
        v_head_dim=16,
    )
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Kimi_K25Config(
        text_config=text,
        vision_config={**vision, "patch_size": 14, "pos_emb_height": 8, "pos_emb_width": 8},
        projection_hidden_size=32,
        image_token_id=IMAGE,
        vision_start_token_id=4,
        vision_end_token_id=6,
        video_token_id=7,
        tie_word_embeddings=False,
    )
    shared = {"processor_class": "Kimi_K25Processor", "patch_size": 14, "merge_size": 2}
    shared |= {"size": {"max_height": 84, "max_width": 84}}
    return write(
        folder,
        Kimi_K25ForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat(
            "<|media_begin|>image<|media_content|><|media_pad|><|media_end|>",
            user="<|im_user|>user<|im_middle|>",
            assistant=ANSWER,
            end="<|im_end|>",
            answer=THINKS,
        ),
        preprocessor_config={**shared, "image_processor_type": "Kimi_K25ImageProcessor", "max_patches": 36},
        processor_config={"processor_class": "Kimi_K25Processor"},
        video_preprocessor_config={**shared, "video_processor_type": "Kimi_K25VideoProcessor", "max_patches": 36},
    )
