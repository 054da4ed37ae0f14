"""Further families for families.py: those whose images or text models are made in ways of their own."""

from pathlib import Path

import torch
import transformers
from family_files import CLIP, HALF, SIGLIP, UNTIED, images, rope, template, tokenizer_with, write
from tiny_checkpoints import byte_level_bpe, text_sizes


def mistral3(folder: Path, seed: int) -> Path:
    """Pixtral's images: rows of tokens with a break after each; and an LLM of Mistral's."""
    special = ["<pad>", "<s>", "</s>", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]"]
    tokenizer = byte_level_bpe(special)
    config = transformers.Mistral3Config(
        vision_config=transformers.PixtralVisionConfig(
            **{
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "head_dim": 16,
            },
            **{"image_size": 56, "patch_size": 7},
        ),
        text_config=transformers.MistralConfig(**text_sizes(len(tokenizer)), head_dim=16),
        **{"image_token_index": 3, "spatial_merge_size": 2, "vision_feature_layer": -1},
        **UNTIED,
    )
    files = {
        "preprocessor_config": images(
            "PixtralImageProcessor",
            "PixtralProcessor",
            size={"longest_edge": 56},
            patch_size={"height": 7, "width": 7},
            **CLIP,
        ),
        "processor_config": {
            **{"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"},
            **{"patch_size": 7, "spatial_merge_size": 2, "processor_class": "PixtralProcessor"},
        },
    }
    turns = (
        "<s>{% for m in messages %}{% if m['role'] == 'user' %}[INST]{% for c in m['content'] %}"
        "{{ '[IMG]' if c['type'] == 'image' else c['text'] }}{% endfor %}[/INST]"
        "{% else %}{{ m['content'][0]['text'] }}</s>{% endif %}{% endfor %}"
    )
    return write(folder, seed, transformers.Mistral3ForConditionalGeneration(config), tokenizer, turns, files)


def glm4v(folder: Path, seed: int) -> Path:
    special = [
        "<|endoftext|>",
        "[gMASK]",
        "<|user|>",
        "<|image|>",
        "<|video|>",
        "<|begin_of_image|>",
        "<|end_of_image|>",
    ]
    special += ["<|begin_of_video|>", "<|end_of_video|>", "<|assistant|>", "<think>", "</think>"]
    tokenizer = byte_level_bpe(special)
    ids = {token: number for number, token in enumerate(special)}
    config = transformers.Glm4vConfig(
        text_config={**text_sizes(len(tokenizer)), "rope_parameters": {**rope(4, 2, 2), "partial_rotary_factor": 1.0}},
        vision_config={
            **{
                "depth": 2,
                "hidden_size": 32,
                "num_heads": 2,
                "image_size": 56,
                "patch_size": 14,
                "out_hidden_size": 32,
            },
            **{"intermediate_size": 64, "spatial_merge_size": 2, "temporal_patch_size": 2},
        },
        image_token_id=ids["<|image|>"],
        video_token_id=ids["<|video|>"],
        image_start_token_id=ids["<|begin_of_image|>"],
        image_end_token_id=ids["<|end_of_image|>"],
        video_start_token_id=ids["<|begin_of_video|>"],
        video_end_token_id=ids["<|end_of_video|>"],
        **UNTIED,
    )
    size = {
        "size": {"shortest_edge": 56 * 56, "longest_edge": 2 * 84 * 84},
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    files = {"preprocessor_config": images("Glm4vImageProcessor", "Glm4vProcessor", **size, **CLIP)}
    turns = template("<|begin_of_image|><|image|><|end_of_image|>", "<|user|>\n", "", "[gMASK]").replace(
        "<|assistant|>\\n", "<|assistant|>"
    )
    return write(folder, seed, transformers.Glm4vForConditionalGeneration(config), tokenizer, turns, files)


def aya_vision(folder: Path, seed: int) -> Path:
    """Cohere's text model scales its logits; layers look back 512 tokens or all the way."""
    special = [
        "<PAD>",
        "<BOS>",
        "<EOS>",
        "<image>",
        "<|START_OF_IMG|>",
        "<|END_OF_IMG|>",
        "<|IMG_PATCH|>",
        "<|IMG_LINE_BREAK|>",
    ]
    special += ["TILE_GLOBAL", *(f"TILE_{number}" for number in range(1, 5)), "<|user|>", "<|assistant|>", "<|END|>"]
    tokenizer = byte_level_bpe(special)
    sizes = {**text_sizes(len(tokenizer)), "logit_scale": 0.25, "sliding_window": 512}
    sizes["layer_types"] = ["sliding_attention", "full_attention"]
    config = transformers.AyaVisionConfig(
        vision_config=transformers.SiglipVisionConfig(**SIGLIP),
        text_config=transformers.Cohere2Config(**sizes),
        image_token_index=6,
        downsample_factor=2,
        **UNTIED,
    )
    size = {"size": {"height": 28, "width": 28}, "crop_to_patches": True, "min_patches": 1, "max_patches": 4}
    files = {
        "preprocessor_config": images("GotOcr2ImageProcessor", "AyaVisionProcessor", **size, **HALF),
        "processor_config": {
            "patch_size": 7,
            "img_size": 28,
            "downsample_factor": 2,
            "processor_class": "AyaVisionProcessor",
        },
    }
    turns = template("<image>", "<|user|>", "<|END|>", "<BOS>")
    return write(folder, seed, transformers.AyaVisionForConditionalGeneration(config), tokenizer, turns, files)


def lfm2_vl(folder: Path, seed: int) -> Path:
    """Half of its layers are short convolutions."""
    special = [
        "<|pad|>",
        "<|startoftext|>",
        "<|im_end|>",
        "<image>",
        "<|image_start|>",
        "<|image_end|>",
        "<|img_thumbnail|>",
    ]
    special += ["<|im_start|>", *(f"<|img_row_{row}_col_{column}|>" for row in (1, 2) for column in (1, 2))]
    tokenizer = byte_level_bpe(special)
    config = transformers.Lfm2VlConfig(
        vision_config=transformers.Siglip2VisionConfig(
            **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"patch_size": 8, "num_patches": 16, "vision_use_head": False},
        ),
        text_config=transformers.Lfm2Config(
            **{**text_sizes(len(tokenizer)), "num_hidden_layers": 3},
            block_auto_adjust_ff_dim=False,
            layer_types=["full_attention", "conv", "full_attention"],
        ),
        **{"image_token_id": 3, "projector_hidden_size": 32, "downsample_factor": 2},
        **UNTIED,
    )
    size = {
        "tile_size": 32,
        "min_tiles": 1,
        "max_tiles": 4,
        "encoder_patch_size": 8,
        "max_num_patches": 16,
        "do_image_splitting": True,
    }
    size |= {"min_image_tokens": 4, "max_image_tokens": 16, "downsample_factor": 2, "use_thumbnail": True}
    files = {"preprocessor_config": images("Lfm2VlImageProcessorFast", "Lfm2VlProcessor", **size, **HALF)}
    turns = template("<image>", start="<|startoftext|>")
    return write(folder, seed, transformers.Lfm2VlForConditionalGeneration(config), tokenizer, turns, files)


def mllama(folder: Path, seed: int) -> Path:
    """Llama 3.2 Vision: images are not among the tokens but behind cross-attention layers."""
    special = ["<|finetune_right_pad_id|>", "<|begin_of_text|>", "<|eot_id|>", "<|image|>", "<|python_tag|>"]
    tokenizer = byte_level_bpe([*special, "<|start_header_id|>", "<|end_header_id|>"])
    text = {**text_sizes(len(tokenizer)), "num_hidden_layers": 3, "cross_attention_layers": [1]}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0}
    config = transformers.MllamaConfig(
        vision_config={
            **{
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_global_layers": 1,
                "attention_heads": 2,
                "intermediate_size": 64,
            },
            **{"vision_output_dim": 64, "image_size": 28, "patch_size": 7, "max_num_tiles": 4},
            **{
                "intermediate_layers_indices": [0],
                "supported_aspect_ratios": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]],
            },
        },
        text_config=text,
        image_token_index=3,
        **UNTIED,
    )
    size = {"size": {"height": 28, "width": 28}, "max_image_tiles": 4, "do_convert_rgb": True}
    files = {"preprocessor_config": images("MllamaImageProcessor", "MllamaProcessor", **size, **CLIP)}
    turns = template("<|image|>", "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>", "<|begin_of_text|>")
    model = transformers.MllamaForConditionalGeneration(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "gate" in name.rpartition(".")[2]:
                weight.fill_(1.5)  # at 0, where they start, no image is seen
    return write(folder, seed, model, tokenizer, turns, files)


def gemma4(folder: Path, seed: int) -> Path:
    """Logits are capped; images of any shape."""
    special = [
        "<pad>",
        "<bos>",
        "<eos>",
        "<|image|>",
        "<|image>",
        "<image|>",
        "<|audio|>",
        "<|audio>",
        "<audio|>",
        "<|video|>",
    ]
    special += ["<|turn>", "<turn|>", "<|channel>", "<channel|>"]
    named = {"image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>"}
    named |= {"audio_token": "<|audio|>", "boa_token": "<|audio>", "eoa_token": "<audio|>"}
    tokenizer = tokenizer_with(special, **named)
    text = {
        **text_sizes(len(tokenizer)),
        **{
            "head_dim": 16,
            "global_head_dim": 16,
            "sliding_window": 512,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        **{
            "hidden_size_per_layer_input": 0,
            "vocab_size_per_layer_input": len(tokenizer),
            "final_logit_softcapping": 30.0,
        },
        "num_global_key_value_heads": 2,
    }
    config = transformers.Gemma4Config(
        text_config=text,
        vision_config={
            **{
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "head_dim": 16,
            },
            **{"num_key_value_heads": 2, "patch_size": 8, "pooling_kernel_size": 2, "position_embedding_size": 64},
        },
        audio_config=None,
        **{"image_token_id": 3, "boi_token_id": 4, "eoi_token_id": 5, "audio_token_id": 6, "boa_token_id": 7},
        **{"eoa_token_index": 8, "video_token_id": 9},
        **UNTIED,
    )
    of_images = {"patch_size": 8, "pooling_kernel_size": 2, "max_soft_tokens": 70}
    files = {
        "processor_config": {
            "processor_class": "Gemma4Processor",
            "image_seq_length": 70,
            "image_processor": {"image_processor_type": "Gemma4ImageProcessor", **of_images},
            "video_processor": {"video_processor_type": "Gemma4VideoProcessor", **of_images},
            "feature_extractor": {"feature_extractor_type": "Gemma4AudioFeatureExtractor"},
        }
    }
    turns = template("<|image|>", "<|turn>user\n", "<turn|>\n", start="<bos>").replace("assistant", "model")
    return write(folder, seed, transformers.Gemma4ForConditionalGeneration(config), tokenizer, turns, files)


def paligemma(folder: Path, seed: int) -> Path:
    """Without a chat template, as on the hub."""
    tokenizer = byte_level_bpe(["<pad>", "<bos>", "<eos>", "<image>"])
    config = transformers.PaliGemmaConfig(
        vision_config={**SIGLIP, "projection_dim": 32},
        text_config={**text_sizes(len(tokenizer)), "model_type": "gemma", "head_dim": 16},
        **{"image_token_index": 3, "projection_dim": 32, "hidden_size": 32},
    )
    size = {"size": {"height": 28, "width": 28}, "image_seq_length": 16}
    files = {"preprocessor_config": images("SiglipImageProcessor", "PaliGemmaProcessor", **size, **HALF)}
    model = transformers.PaliGemmaForConditionalGeneration(config)
    return write(folder, seed, model, tokenizer, "", files)
