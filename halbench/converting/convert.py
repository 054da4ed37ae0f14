"""Converting a checkpoint in LLaVA's own format into one of transformers.

Read first, then checked as a whole, then written weight by weight: no more than one file of SHARD bytes is in memory.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    AutoConfig,
    AutoProcessor,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from halbench.converting.original import Original, local_folder, open_original, original_weights
from halbench.converting.places import EMBEDDINGS, HEAD, check_complete, expected_shapes, tower_weights
from halbench.converting.prompts import IMAGE, NAMES, TEMPLATES, check_tokens, load_tokenizer, with_image_token
from halbench.converting.weights import Weight, model_weights
from halbench.errors import InputError, first_sentence
from halbench.files.new_folder import new_folder
from halbench.terminal.progress import progress
from halbench.types import Dtype

SHARD = 2 * 2**30
ROWS = 64  # the vocabulary becomes a multiple of it, as in transformers' own conversion
IDENTITY = ("multi_modal_projector.linear_2.weight", "multi_modal_projector.linear_2.bias")


@dataclass(frozen=True)
class Converted:
    """What was written. prompt: name, in LLaVA's code, of the conversation that the chat template writes."""

    folder: Path
    weights: int
    dtype: str
    prompt: str
    vision_tower: str


def convert(source: str, out: Path, base: str | None, vision_tower: str | None, dtype: Dtype) -> Converted:
    """Write the converted checkpoint to a new folder. Raises InputError, before anything is written, for what does not fit."""
    transformers.utils.logging.set_verbosity_error()
    with new_folder(out) as folder:
        original = open_original(source, base)
        language = load_tokenizer(original.language_folder())
        tokenizer = with_image_token(language, original.text_model, source)
        weights = original_weights(original)
        tower = local_folder(
            vision_tower or original.vision_tower(), "the vision tower (--vision-tower PATH)", is_clip_folder
        )
        if not any(name.startswith("vision_tower.") for name in weights):
            weights |= tower_weights(model_weights(tower))
        weights = with_rows(weights, tokenizer, source)
        try:
            config = llava_config(original, tower, tokenizer, weights)
            expected = expected_shapes(empty_model(config))
        except InputError:
            raise
        except Exception as error:  # transformers checks what a config says with errors of many kinds
            raise InputError(
                f"{source}/config.json: no model can be built as it says ({first_sentence(error)})"
            ) from error
        if len(original.projector) == 1:
            weights |= identity_layer(expected)
        if config.tie_word_embeddings:
            expected.pop(HEAD, None)
        check_complete(weights, expected, source)
        chosen = weights[EMBEDDINGS].dtype if dtype == "auto" else getattr(torch, dtype)
        config.dtype = chosen
        template = TEMPLATES[original.text_model]
        write_parts(folder, config, tokenizer, tower, original, template)
        check_tokens(AutoProcessor.from_pretrained(folder), language, template, source)
        write_weights(folder, {name: weights[name] for name in expected}, chosen)
    name = NAMES[original.text_model]
    return Converted(out, len(expected), str(chosen).removeprefix("torch."), name, str(tower))


def is_clip_folder(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def with_rows(weights: Mapping[str, Weight], tokenizer: Any, source: str) -> dict[str, Weight]:
    """The weights with rows for new tokens, each the mean of the old ones: the logit of a mean is the mean of the logits, so
    that no new token is ever the likeliest, and the old logits stay what they are."""
    embeddings = weights.get(EMBEDDINGS)
    if embeddings is None or len(embeddings.shape) != 2:
        raise InputError(f"{source}: expected model.embed_tokens.weight, the language model's embeddings; found none")
    rows = embeddings.shape[0]
    last = max(tokenizer.convert_tokens_to_ids([IMAGE, tokenizer.pad_token]))
    if last < rows:
        return dict(weights)
    total = -(-(last + 1) // ROWS) * ROWS
    grown = {}
    for name in (EMBEDDINGS, HEAD):
        if name in weights:
            shape = (total, *weights[name].shape[1:])
            grown[name] = weights[name].changed(shape, partial(with_mean_rows, rows=total))
    return {**weights, **grown}


def with_mean_rows(matrix: torch.Tensor, rows: int) -> torch.Tensor:
    """A matrix filled up to `rows` with the mean of its rows."""
    mean = matrix.float().mean(dim=0, keepdim=True).to(matrix.dtype)
    return torch.cat([matrix, mean.expand(rows - matrix.shape[0], -1)])


def llava_config(original: Original, tower: Path, tokenizer: Any, weights: Mapping[str, Weight]) -> LlavaConfig:
    """What transformers' LLaVA has to be."""
    known = AutoConfig.for_model(original.text_model).to_dict()
    fields = {
        name: value
        for name, value in original.config.items()
        if (name in known or name in ("rope_theta", "rope_scaling"))
        and name not in ("model_type", "architectures", "dtype")
    }
    tied = bool(original.config.get("tie_word_embeddings", False)) and HEAD not in weights
    text = AutoConfig.for_model(
        original.text_model,
        **{
            **fields,
            **{"vocab_size": weights[EMBEDDINGS].shape[0], "tie_word_embeddings": tied},
            **{"pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id},
            **{"eos_token_id": tokenizer.eos_token_id},
        },
    )
    vision = clip_config(tower)
    patches = (vision.image_size // vision.patch_size) ** 2
    strategy = select_strategy(original)
    return LlavaConfig(
        text_config=text,
        vision_config=vision,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=patches + (strategy == "full"),
        projector_hidden_act="gelu" if len(original.projector) == 2 else "linear",
        vision_feature_layer=original.config["mm_vision_select_layer"],
        vision_feature_select_strategy=strategy,
        tie_word_embeddings=tied,
    )


def select_strategy(original: Original) -> str:
    """Whether the class token is left out ("default") or kept ("full")."""
    return "full" if original.config.get("mm_vision_select_feature") == "cls_patch" else "default"


def clip_config(tower: Path) -> Any:
    """The vision part of a CLIP checkpoint's config."""
    try:
        config = AutoConfig.from_pretrained(tower)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{tower}: its config.json cannot be read ({first_sentence(error)})") from error
    if config.model_type not in ("clip", "clip_vision_model"):
        raise InputError(f"{tower}: cannot convert a '{config.model_type}' vision tower; expected clip")
    return config.vision_config if config.model_type == "clip" else config


def empty_model(config: LlavaConfig) -> torch.nn.Module:
    """The model without memory for its weights."""
    with torch.device("meta"):
        model: torch.nn.Module = LlavaForConditionalGeneration(config)
    return model


def identity_layer(expected: Mapping[str, tuple[int, ...]]) -> dict[str, Weight]:
    """The second layer of a projector that has only one: it changes nothing."""
    here = Path("(the identity)")
    makers = (torch.eye(expected[IDENTITY[0]][0]), torch.zeros(expected[IDENTITY[1]]))
    return {
        name: Weight(name, here, expected[name], torch.float32, partial(torch.clone, made))
        for name, made in zip(IDENTITY, makers, strict=True)
    }


def write_parts(
    folder: Path, config: LlavaConfig, tokenizer: Any, tower: Path, original: Original, template: str
) -> None:
    """Write everything but the weights."""
    try:
        images = LlavaImageProcessorPil.from_pretrained(tower)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{tower}: expected the preprocessor_config.json of a CLIP ({first_sentence(error)})"
        ) from error
    images.do_pad = original.config.get("image_aspect_ratio") == "pad"
    processor = LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=1,
        chat_template=template,
    )
    processor.save_pretrained(folder)
    config.architectures = ["LlavaForConditionalGeneration"]
    config.save_pretrained(folder)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    GenerationConfig(**ends, pad_token_id=tokenizer.pad_token_id).save_pretrained(folder)


def write_weights(folder: Path, weights: Mapping[str, Weight], dtype: torch.dtype) -> None:
    """Write the weights in files of at most SHARD bytes, and their index."""
    sizes = {name: torch.Size(weight.shape).numel() * dtype.itemsize for name, weight in weights.items()}
    shards = list(in_shards(sizes))
    places: dict[str, str] = {}
    with progress("weights", sum(sizes.values()), unit="bytes") as steps:
        for number, names in enumerate(shards, 1):
            file = f"model-{number:05}-of-{len(shards):05}.safetensors"
            tensors = {}
            for name in names:
                tensors[name] = weights[name].read().to(dtype, copy=True).contiguous()
                steps.advance(sizes[name])
            save_file(tensors, folder / file, metadata={"format": "pt"})
            places |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def in_shards(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Names in groups of at most SHARD bytes, in their order."""
    names: list[str] = []
    used = 0
    for name, size in sizes.items():
        if names and used + size > SHARD:
            yield names
            names, used = [], 0
        names.append(name)
        used += size
    if names:
        yield names
