"""Meta's families."""

from pathlib import Path

from tiny_checkpoints import text_sizes
from transformers import (
    Llama4Config,
    Llama4ForConditionalGeneration,
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


def llama4(folder: Path, seed: int = 0) -> Path:
    """Llama 4: up to 4 tiles of 28 pixels with 4 tokens each, experts, and a layer that attends within chunks."""
    special = ["<|finetune_right_pad|>", "<|begin_of_text|>", "<|eot|>", "<|patch|>", "<|image|>"]
    markers = ["<|image_start|>", "<|image_end|>", "<|tile_x_separator|>", "<|tile_y_separator|>"]
    tokenizer = tokenizer_of([*special, *markers, "<|header_start|>", "<|header_end|>"], begins=True)
    config = Llama4Config(
        vision_config={
            **vision_sizes(patch_size=7, intermediate_size=128),
            "projector_input_dim": 32,
            "projector_output_dim": 32,
            "vision_output_dim": 32,
        },
        text_config={
            **text_sizes(len(tokenizer)),
            "head_dim": 16,
            "intermediate_size_mlp": 64,
            "num_local_experts": 4,
            "interleave_moe_layer_step": 2,
            "no_rope_layer_interval": 2,
            "attention_chunk_size": 64,
        },
        image_token_index=IMAGE,
        boi_token_index=5,
        eoi_token_index=6,
        tie_word_embeddings=False,
    )
    turn = "<|header_start|>{}<|header_end|>\n\n".format
    return write(
        folder,
        Llama4ForConditionalGeneration,
        config,
        seed,
        tokenizer,
        chat("<|image|>", start="<|begin_of_text|>", user=turn("user"), assistant=turn("assistant"), end="<|eot|>"),
        preprocessor_config={
            "image_processor_type": "Llama4ImageProcessorFast",
            "processor_class": "Llama4Processor",
            "size": {"height": 28, "width": 28},
            "max_patches": 4,
        },
        processor_config={"processor_class": "Llama4Processor", "patch_size": 7, "pixel_shuffle_ratio": 0.5},
    )
