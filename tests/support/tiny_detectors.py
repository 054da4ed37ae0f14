"""Detectors of transformers, tiny and untrained: they find something, somewhere."""

from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoProcessor,
    SamConfig,
    SamModel,
    SamProcessor,
    SwinConfig,
)
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil


def grounding_dino(folder: Path) -> Path:
    """Knows the words dog and cup."""
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "cup", "."]
    swin = {"image_size": 64, "window_size": 2, "embed_dim": 8, "depths": [1] * 4, "num_heads": [1, 1, 2, 2]}
    bert = {"vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    dino = GroundingDinoConfig(
        backbone_config=SwinConfig(**swin, out_indices=[2, 3, 4]),
        text_config=BertConfig(**bert, intermediate_size=16, max_position_embeddings=32),
        **{f"{part}_layers": 2 for part in ("encoder", "decoder")},
        **{f"{part}_ffn_dim": 16 for part in ("encoder", "decoder")},
        **{f"{part}_attention_heads": 2 for part in ("encoder", "decoder")},
        **{"d_model": 32, "num_queries": 6, "max_text_len": 16},
    )
    GroundingDinoForObjectDetection(dino).save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    size = {"shortest_edge": 64, "longest_edge": 96}
    GroundingDinoProcessor(GroundingDinoImageProcessorPil(size=size), tokenizer).save_pretrained(folder)
    return folder


def sam(folder: Path) -> Path:
    """Outlines of squares of 64 pixels."""
    torch.manual_seed(0)
    layers = {"num_hidden_layers": 1, "num_attention_heads": 2, "mlp_dim": 16}
    picture = {"image_size": 64, "patch_size": 16}
    config = SamConfig(
        vision_config={
            "hidden_size": 16,
            "output_channels": 16,
            "num_pos_feats": 8,
            "window_size": 2,
            **layers,
            **picture,
        },
        prompt_encoder_config={"hidden_size": 16, "mask_input_channels": 4, **picture},
        mask_decoder_config={"hidden_size": 16, "iou_head_hidden_dim": 16, **layers},
    )
    SamModel(config).save_pretrained(folder)
    square = {"height": 64, "width": 64}
    sizes = {"size": {"longest_edge": 64}, "pad_size": square}
    masks = {"mask_size": {"longest_edge": 16}, "mask_pad_size": {"height": 16, "width": 16}}
    SamProcessor(SamImageProcessorPil(**sizes, **masks)).save_pretrained(folder)
    return folder
