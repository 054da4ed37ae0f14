"""Meta's families."""

from pathlib import Path

from tiny_checkpoints import text_sizes
from transformers import (
    MllamaConfig,
    MllamaForConditionalGeneration,
)

from families.parts import IMAGE, chat, tokenizer_of, vision_sizes, write

HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
LLAMA_CHAT = {
    "start": "<|begin_of_text|>",
    "user": HEADER.format("user"),
    "assistant": HEADER.format("assistant"),
    "end": "<|eot_id|>",
}


def mllama(folder: Path, seed: int = 0) -> Path:
    """Llama 3.2 Vision: the text looks at up to 4 tiles of 28 pixels through layers of cross-attention, which a fresh model
    holds shut; its one image token takes no features."""
    special = ["<|finetune_right_pad_id|>", "<|begin_of_text|>", "<|eot_id|>", "<|image|>"]
    tokenizer = tokenizer_of([*special, "<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>"], begins=True)
    vision = vision_sizes()
    heads = vision.pop("num_attention_heads")
    config = MllamaConfig(
        vision_config={
            **vision,
            "attention_heads": heads,
            "num_global_layers": 1,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 64,
        },
        text_config={**text_sizes(len(tokenizer)), "num_hidden_layers": 3, "cross_attention_layers": [1]},
        image_token_index=IMAGE,
        tie_word_embeddings=False,
    )
    return write(
        folder,
        MllamaForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<|image|>", **LLAMA_CHAT),
        filled={"gate": 1.0},
        preprocessor_config={
            "image_processor_type": "MllamaImageProcessor",
            "processor_class": "MllamaProcessor",
            "size": {"height": 28, "width": 28},
            "max_image_tiles": 4,
        },
    )
