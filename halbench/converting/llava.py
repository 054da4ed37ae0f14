"""Checkpoints of LLaVA-1.5's own code -> transformers' LlavaForConditionalGeneration.

    model.layers.0...              -> model.language_model.layers.0...
    model.mm_projector.0, .2       -> model.multi_modal_projector.linear_1, linear_2
    model.vision_tower.vision_tower... (or the CLIP that mm_vision_tower names) -> model.vision_tower...

The vocabulary gets a token for the image, and one for padding, if it lacks them; the logits of all other tokens stay as they are.
The chat template is LLaVA-1.5's conversation "vicuna_v1" (llava/conversation.py), with which its published results were made.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoTokenizer,
    CLIPVisionModel,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessor,
    LlavaProcessor,
)

from halbench.converting.weights import merge_lora, model_weights, read_weights
from halbench.errors import InputError, first_sentence
from halbench.files.records import read_json
from halbench.models.llava_format import NOT_LORA, PROJECTOR, llava_config, llava_layout
from halbench.models.processors import LOADING_ERRORS
from halbench.terminal.progress import say

TEXT_TYPES = {
    "llava": "llama",
    "llava_llama": "llama",
    "llava_mistral": "mistral",
    "llama": "llama",
    "mistral": "mistral",
}
"""model_type of LLaVA's code, or of its base -> that of the text model in transformers."""
PROJECTORS = ("linear", "mlp2x_gelu")
IMAGE, PAD = "<image>", "<pad>"
SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and "
    "polite answers to the human's questions."
)
CHAT_TEMPLATE = (
    f"{SYSTEM}{{% for m in messages %}}{{% if m['role'] == 'user' %}} USER: "
    "{% for c in m['content'] if c['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] }}{% endfor %}"
    "{% else %} ASSISTANT: {{ m['content'] if m['content'] is string else m['content'][0]['text'] }}</s>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


@dataclass(frozen=True)
class Sources:
    """Where the parts of a checkpoint are. base: of the text model's weights and tokenizer. tower: CLIP's folder or hub name."""

    folder: Path
    base: Path
    tower: str
    config: Mapping[str, Any]


def convert(folder: Path, out: Path, base: Path | None, tower: str | None, dtype: str) -> None:
    """Write the checkpoint in `folder` for transformers. Raises InputError for what is missing, unknown or has no place."""
    if out.exists():
        raise InputError(f"{out} exists; choose another --out, or remove it")
    sources = find_sources(folder, base, tower)
    weights = text_and_projector(sources)
    vision, images = open_tower(sources)
    tokenizer = open_tokenizer(sources)
    config = llava_config_of(sources, vision.config, tokenizer)
    state = renamed(weights, vision.state_dict(), sources.config)
    grow_vocabulary(state, config.text_config.vocab_size, tokenizer)
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    expected = model.state_dict()
    check_fit(
        {name: value.shape for name, value in state.items()}, {name: value.shape for name, value in expected.items()}
    )
    kind = getattr(torch, dtype) if dtype != "auto" else state["lm_head.weight"].dtype
    model.load_state_dict({name: value.to(kind) for name, value in state.items()}, assign=True)
    model.config.dtype = kind
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    processor = LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=vision.config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=1,  # CLIP's class token
        image_token=IMAGE,
        chat_template=CHAT_TEMPLATE,
    )
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    say(f"writing {sum(value.numel() for value in state.values()):,} weights as {str(kind).removeprefix('torch.')}")
    model.save_pretrained(partial)
    processor.save_pretrained(partial)
    partial.rename(out)


def find_sources(folder: Path, base: Path | None, tower: str | None) -> Sources:
    """The parts of a checkpoint. Raises InputError for a folder of another format, and for a base that is missing."""
    layout = llava_layout(folder)
    if layout is None:
        raise InputError(
            f"{folder}: expected a checkpoint of LLaVA's own code: config.json with mm_... fields and weights, a LoRA adapter "
            f"with {NOT_LORA}, or {PROJECTOR}"
        )
    if layout == "full" and base is not None:
        raise InputError(f"--base {base}: {folder} is a whole checkpoint and needs no base")
    if layout == "lora" and base is None:
        named = Path(read_json(folder / "adapter_config.json").get("base_model_name_or_path") or "")
        base = named if named.is_dir() else None
    if layout != "full" and (base is None or not base.is_dir()):
        raise InputError(f"{folder}: name the folder of its language model with --base; found {base}")
    config = llava_config(folder) or llava_config(base or folder)
    if config is None:
        raise InputError(
            f"{folder}: no config.json with mm_vision_tower and mm_projector_type; copy it from the same release"
        )
    text = {**read_json((base or folder) / "config.json"), **config} if base else config
    check_config(folder, text)
    return Sources(folder, base or folder, tower or str(text.get("mm_vision_tower")), text)


def check_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise InputError for what transformers' LLaVA cannot express."""
    projector = config.get("mm_projector_type", "linear")
    if config.get("model_type") not in TEXT_TYPES:
        raise InputError(f"{folder}: a '{config.get('model_type')}' language model; expected {', '.join(TEXT_TYPES)}")
    if projector not in PROJECTORS:
        raise InputError(
            f"{folder}: mm_projector_type '{projector}' cannot be converted; expected {' or '.join(PROJECTORS)}"
        )
    if "anyres" in str(config.get("image_aspect_ratio")) or "unpad" in str(config.get("mm_patch_merge_type")):
        raise InputError(
            f"{folder}: a LLaVA-1.6 checkpoint (image_aspect_ratio {config.get('image_aspect_ratio')}), which cannot be converted; "
            "its authors' weights are on the hub for transformers, as llava-hf/llava-v1.6-..."
        )
    if config.get("mm_use_im_start_end"):
        raise InputError(f"{folder}: mm_use_im_start_end, tokens around the image, cannot be converted")


def text_and_projector(sources: Sources) -> dict[str, torch.Tensor]:
    """All weights under the names of LLaVA's code, an adapter merged into them."""
    weights = model_weights(sources.base)
    folder = sources.folder
    if (folder / PROJECTOR).is_file():
        weights |= without_prefix(read_weights(folder / PROJECTOR))
    if (folder / NOT_LORA).is_file():
        weights |= without_prefix(read_weights(folder / NOT_LORA))
    if (folder / "adapter_config.json").is_file():
        path = next(
            (
                folder / f"adapter_model{end}"
                for end in (".safetensors", ".bin")
                if (folder / f"adapter_model{end}").is_file()
            ),
            None,
        )
        if path is None:
            raise InputError(f"{folder} contains no adapter_model.safetensors and no adapter_model.bin")
        try:
            merge_lora(weights, read_weights(path), read_json(folder / "adapter_config.json"))
        except InputError as error:
            raise InputError(f"{folder}: {error}") from error
    return {name: value for name, value in weights.items() if not name.endswith("rotary_emb.inv_freq")}


def without_prefix(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names as in a whole checkpoint: peft writes "base_model.model." before them."""
    return {name.removeprefix("base_model.model."): value for name, value in weights.items()}


def open_tower(sources: Sources) -> tuple[Any, Any]:
    """CLIP, and LLaVA's image processor with CLIP's settings."""
    try:
        vision = CLIPVisionModel.from_pretrained(sources.tower, use_safetensors=None)
        clip = AutoImageProcessor.from_pretrained(sources.tower)
    except LOADING_ERRORS as error:
        raise InputError(
            f"vision tower {sources.tower} cannot be loaded ({first_sentence(error)}); name its folder with --vision-tower"
        ) from error
    names = (
        "size",
        "crop_size",
        "resample",
        "image_mean",
        "image_std",
        "do_center_crop",
        "do_resize",
        "rescale_factor",
    )
    padded = sources.config.get("image_aspect_ratio") == "pad"
    settings = {name: getattr(clip, name) for name in names if getattr(clip, name, None) is not None}
    return vision, LlavaImageProcessor(do_pad=padded, **settings)


def open_tokenizer(sources: Sources) -> Any:
    """The text model's tokenizer, with tokens for image and padding."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(sources.base)
    except LOADING_ERRORS:
        try:
            tokenizer = transformers.LlamaTokenizerFast.from_pretrained(sources.base)
        except LOADING_ERRORS as error:
            raise InputError(f"{sources.base}: its tokenizer cannot be loaded ({first_sentence(error)})") from error
    tokenizer.add_tokens([transformers.AddedToken(IMAGE, special=True, normalized=False)], special_tokens=True)
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.unk_token:
        tokenizer.add_special_tokens({"pad_token": PAD})
    return tokenizer


def llava_config_of(sources: Sources, vision: Any, tokenizer: Any) -> LlavaConfig:
    """The config of transformers' LLaVA."""
    own = {
        name: value
        for name, value in sources.config.items()
        if not name.startswith(("mm_", "image_", "tune_", "unfreeze_"))
    }
    for name in ("model_type", "architectures", "_name_or_path", "transformers_version", "torch_dtype", "dtype"):
        own.pop(name, None)
    text = AutoConfig.for_model(TEXT_TYPES[sources.config["model_type"]], **own)
    text.vocab_size = max(text.vocab_size, len(tokenizer))
    text.pad_token_id = tokenizer.pad_token_id
    linear = sources.config.get("mm_projector_type", "linear") == "linear"
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        projector_hidden_act="linear" if linear else "gelu",
        vision_feature_layer=sources.config.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy="full"
        if sources.config.get("mm_vision_select_feature") == "cls_patch"
        else "default",
        tie_word_embeddings=False,
    )


def renamed(
    weights: Mapping[str, torch.Tensor], vision: Mapping[str, torch.Tensor], config: Mapping[str, Any]
) -> dict[str, torch.Tensor]:
    """All weights under transformers' names. vision: CLIP's, which the checkpoint's own replace."""
    state = {f"model.vision_tower.{name}": value for name, value in vision.items() if not name.endswith("position_ids")}
    for name, value in weights.items():
        if name.startswith("model.vision_tower.vision_tower."):
            own = name.removeprefix("model.vision_tower.vision_tower.")
            names = (f"model.vision_tower.{own}", f"model.vision_tower.{own.removeprefix('vision_model.')}")
            target = next((one for one in names if one in state), names[0])
            if not own.endswith("position_ids"):
                state[target] = value
        elif name.startswith("model.mm_projector."):
            layer = name.removeprefix("model.mm_projector.")
            if config.get("mm_projector_type", "linear") == "linear":
                layer = f"0.{layer}"
            number, _, part = layer.partition(".")
            place = {"0": "linear_1", "2": "linear_2"}.get(number, number)
            state[f"model.multi_modal_projector.{place}.{part}"] = value
        elif name.startswith("model."):
            state[f"model.language_model.{name.removeprefix('model.')}"] = value
        else:
            state[name] = value
    projector = "model.multi_modal_projector"
    if config.get("mm_projector_type", "linear") == "linear" and f"{projector}.linear_1.weight" in state:
        first = state[f"{projector}.linear_1.weight"]  # a second layer that changes nothing
        state[f"{projector}.linear_2.weight"] = torch.eye(len(first), dtype=first.dtype)
        state[f"{projector}.linear_2.bias"] = torch.zeros(len(first), dtype=first.dtype)
    return state


def grow_vocabulary(state: dict[str, torch.Tensor], size: int, tokenizer: Any) -> None:
    """Rows for new tokens. They are those of the unknown token, which is never the most likely one; an image's is never
    looked up, and padding is never attended to."""
    for name in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
        if name in state and len(state[name]) < size:
            row = state[name][tokenizer.unk_token_id or 0]
            state[name] = torch.cat([state[name], row.expand(size - len(state[name]), -1)])


def check_fit(found: Mapping[str, torch.Size], expected: Mapping[str, torch.Size]) -> None:
    """Raise InputError for weights without a place, places without a weight, and other shapes."""
    without_place = sorted(found.keys() - expected.keys())
    missing = sorted(expected.keys() - found.keys())
    wrong = sorted(name for name in found.keys() & expected.keys() if found[name] != expected[name])
    for names, problem in (
        (missing, "is missing"),
        (without_place, "has no place in transformers' LLaVA"),
        (wrong, "has another shape"),
    ):
        if names:
            raise InputError(f"weight {names[0]} {problem}{f', and {len(names) - 1} more' if len(names) > 1 else ''}")
