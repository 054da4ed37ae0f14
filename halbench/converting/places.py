"""Where each weight of a checkpoint in LLaVA's own format goes in transformers' LLaVA.

    model.embed_tokens.weight, model.layers.*, model.norm.*    language_model.model.*
    lm_head.weight                                             language_model.lm_head.weight
    model.mm_projector.0.*, model.mm_projector.2.*             multi_modal_projector.linear_1.*, linear_2.*
    model.vision_tower.vision_tower.vision_model.*             vision_tower.vision_model.*

The names on the right are those of the checkpoints that llava-hf publishes, which every release of transformers and vLLM
reads.
"""

from collections.abc import Mapping

import torch

from halbench.converting.weights import OTHER, Weight
from halbench.errors import InputError

EMBEDDINGS, HEAD = "language_model.model.embed_tokens.weight", "language_model.lm_head.weight"
BUFFERS = (".inv_freq", ".position_ids", "image_newline")
"""Ends of names without a place: what is computed anew, and the line break of LLaVA-NeXT, unused at one tile per image."""
TEXT_PART_OF_CLIP = ("text_model.", "text_projection.", "visual_projection.", "logit_scale")


def placed(name: str, projector: Mapping[str, str]) -> str:
    """The name in transformers' LLaVA; the old name where there is no place. projector: mm_projector layer -> its name."""
    part, _, rest = name.partition("mm_projector.")
    if part in ("", "model.") and rest:
        layer, _, parameter = rest.rpartition(".")
        return f"multi_modal_projector.{projector[layer]}.{parameter}" if layer in projector else name
    if name.startswith("model.vision_tower."):
        return f"vision_tower.vision_model.{name.split('vision_tower.')[-1].removeprefix('vision_model.')}"
    if name.startswith("model."):
        return f"language_model.{name}"
    return f"language_model.{name}" if name.startswith("lm_head.") else name


def tower_weights(clip: Mapping[str, Weight]) -> dict[str, Weight]:
    """The vision part of a CLIP checkpoint, which may be a whole CLIP or its vision model alone."""
    return {
        f"vision_tower.vision_model.{name.removeprefix('vision_model.')}": weight
        for name, weight in clip.items()
        if not name.startswith(TEXT_PART_OF_CLIP) and not name.endswith(BUFFERS)
    }


def expected_shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Name -> shape of everything that a transformers LLaVA (on the meta device) needs, tied weights once."""
    shapes = {}
    for name, tensor in model.state_dict().items():
        name = name.removeprefix("model.").replace("vision_tower.vision_model.", "vision_tower.")
        name = name.replace("vision_tower.", "vision_tower.vision_model.")
        name = name.replace("language_model.", "language_model.model.")
        shapes[f"language_model.{name}" if name.startswith("lm_head") else name] = tuple(tensor.shape)
    return shapes


def check_complete(weights: Mapping[str, Weight], expected: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raise InputError for the first weight that has no place, is missing, has another shape or is quantised."""
    for place, weight in weights.items():
        if place not in expected:
            raise InputError(
                f"{weight.file}: {weight.name} has no place in the model that {source}'s config.json describes"
            )
        if weight.shape != expected[place]:
            raise InputError(
                f"{weight.file}: {weight.name} has the shape {list(weight.shape)}; expected {list(expected[place])} from the "
                "config.json"
            )
        if weight.dtype is OTHER:
            raise InputError(f"{weight.file}: {weight.name} is quantised; expected float16, bfloat16 or float32")
    if missing := next((name for name in expected if name not in weights), None):
        if missing.startswith("multi_modal_projector"):
            raise InputError(
                f"{source} has no projector ({missing}); expected model.mm_projector.*, or mm_projector.bin"
            )
        raise InputError(f"{source} lacks {missing}; is the checkpoint complete?")
