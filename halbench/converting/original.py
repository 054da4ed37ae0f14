"""A checkpoint in LLaVA's own format as it was published: what its config.json says, and its weights in the places of transformers'
LLaVA. What transformers' LLaVA cannot express is refused by name.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from halbench.converting.lora import merged, plain_name
from halbench.converting.places import BUFFERS, placed
from halbench.converting.weights import Weight, model_weights, read_weights
from halbench.errors import InputError, first_sentence
from halbench.files.records import read_json
from halbench.models.llava_format import Kind, is_llava_config, llava_kind, recorded_base
from halbench.models.names import HUB_NAME

TEXT_MODELS = {"llava": "llama", "llava_llama": "llama", "llava_mistral": "mistral"}
"""model_type in the config.json -> transformers' text model."""
ONLY: Mapping[str, tuple[Any, ...]] = {
    "image_aspect_ratio": (None, "pad", "square"),  # not LLaVA-NeXT's anyres
    "mm_patch_merge_type": (None, "flat"),
    "mm_vision_select_feature": (None, "patch", "cls_patch"),
    "mm_use_im_start_end": (None, False),
    "mm_resampler_type": (None,),
    "s2": (None, False),
}
"""Fields of config.json -> their values that transformers' LLaVA can express."""
SMALL_FILES = ("*.json", "*.model", "*.txt", "*.jinja")


@dataclass(frozen=True)
class Original:
    """folder: of the checkpoint. base: of the model below an adapter or a projector. config: the config.json."""

    folder: Path
    kind: Kind
    base: Path | None
    config: Mapping[str, Any]
    text_model: str
    projector: Mapping[str, str]

    def language_folder(self) -> Path:
        """Where tokenizer and language model are."""
        return self.base or self.folder

    def vision_tower(self) -> str:
        """The CLIP checkpoint that config.json names."""
        return str(self.config.get("mm_vision_tower"))


def open_original(source: str, base: str | None) -> Original:
    """The checkpoint in a folder or on the hub, with its base. Raises InputError for what cannot be converted."""
    folder = local_folder(source, "a checkpoint in LLaVA's own format", is_complete)
    kind = llava_kind(folder)
    if kind is None and base and (folder / "adapter_config.json").is_file() and llava_kind(Path(base)):
        kind = "adapter"
    if kind is None:
        raise InputError(
            f"{source} is no checkpoint in LLaVA's own format; expected a config.json with mm_vision_tower, and "
            "pytorch_model*.bin or model*.safetensors, an adapter with non_lora_trainables.bin, or mm_projector.bin"
        )
    below = base_folder(source, folder, kind, base)
    config = read_json((folder if (folder / "config.json").is_file() else below or folder) / "config.json")
    if not isinstance(config, dict) or not is_llava_config(config):
        raise InputError(f"{folder}: expected a config.json with mm_vision_tower, from LLaVA's own code; found none")
    check_expressible(config, source)
    model_type = config.get("model_type")
    if model_type not in TEXT_MODELS:
        raise InputError(f"{source}: cannot convert a '{model_type}' checkpoint; expected {', '.join(TEXT_MODELS)}")
    return Original(folder, kind, below, config, TEXT_MODELS[model_type], projector_layers(config, source))


def base_folder(source: str, folder: Path, kind: Kind, base: str | None) -> Path | None:
    """The folder of the base model; None for a full checkpoint, which has none."""
    if kind == "full":
        if base is not None:
            raise InputError(f"--base {base} is for adapters and projectors, but {source} is a whole checkpoint")
        return None
    named = base or (recorded_base(folder, kind) if kind == "adapter" else None)
    if named is None:
        found = recorded_base(folder, kind)
        hint = f", perhaps {found}" if found else ""
        raise InputError(
            f"{source} is {'an adapter' if kind == 'adapter' else 'a projector'}; name its base with --base{hint}"
        )
    return local_folder(named, "the base model (--base PATH)", is_complete)


def check_expressible(config: Mapping[str, Any], source: str) -> None:
    """Raise InputError for a setting that transformers' LLaVA lacks."""
    for name, values in ONLY.items():
        if config.get(name) not in values:
            expected = ", ".join(str(value) for value in values if value is not None) or "none"
            next_model = " (LLaVA-NeXT; llava-hf publishes these converted)" if name == "image_aspect_ratio" else ""
            raise InputError(
                f"{source}/config.json: {name} = {config[name]!r}{next_model} cannot be converted; expected {expected}"
            )
    if not isinstance(config.get("mm_vision_select_layer"), int):
        raise InputError(
            f"{source}/config.json: expected mm_vision_select_layer to be a whole number such as -2, found "
            f"{config.get('mm_vision_select_layer')!r}"
        )


def projector_layers(config: Mapping[str, Any], source: str) -> Mapping[str, str]:
    """Layer of mm_projector -> layer of transformers' projector, which has two and an activation between them."""
    kind = config.get("mm_projector_type") or "linear"
    if kind == "linear":
        return {"": "linear_1"}
    depth = re.fullmatch(r"mlp(\d+)x_gelu", str(kind))
    layers = {"1": {"0": "linear_1"}, "2": {"0": "linear_1", "2": "linear_2"}}.get(depth[1] if depth else "")
    if layers is None:
        raise InputError(
            f"{source}/config.json: mm_projector_type = {kind!r} cannot be converted; expected linear, mlp1x_gelu or mlp2x_gelu"
        )
    return layers


def original_weights(original: Original) -> dict[str, Weight]:
    """Place in transformers' LLaVA -> weight, with the adapter merged; without a vision tower that the checkpoint lacks."""
    folder = original.folder
    weights = {weight.name: weight for weight in model_weights(original.language_folder()).values()}
    extra = {"adapter": "non_lora_trainables.bin", "projector": "mm_projector.bin"}.get(original.kind)
    if original.kind == "full" and not any("mm_projector." in name for name in weights):
        extra = "mm_projector.bin"
    if extra is not None and (folder / extra).is_file():
        weights |= {own_name(weight.name): weight for weight in read_weights([folder / extra]).values()}
    if original.kind == "adapter":
        weights = merged(weights, folder)
    places: dict[str, Weight] = {}
    for name, weight in weights.items():
        if name.endswith(BUFFERS):
            continue
        place = placed(name, original.projector)
        if place in places:
            raise InputError(f"{weight.file}: {weight.name} and {places[place].name} would both become {place}")
        places[place] = weight
    return places


def own_name(name: str) -> str:
    """The name in a whole checkpoint of a weight that was saved beside an adapter or as a projector."""
    name = plain_name(name)
    return f"model.mm_projector.{name.partition('mm_projector.')[2]}" if "mm_projector." in name else name


def is_complete(folder: Path) -> bool:
    """Whether a folder has weights."""
    return any(any(folder.glob(pattern)) for pattern in ("*.safetensors", "*.bin"))


def local_folder(name: str, what: str, complete: Callable[[Path], bool]) -> Path:
    """A folder, or the local copy of a hub name, which is downloaded: small files, then *.safetensors, and *.bin if there are
    none of a whole model."""
    if Path(name).is_dir():
        return Path(name)
    if not HUB_NAME.fullmatch(name):
        raise InputError(f"{name} does not exist; expected the folder or hub name of {what}")
    folder = Path(download(name, what, (*SMALL_FILES, "*.safetensors", "non_lora_trainables.bin", "mm_projector.bin")))
    if not any(folder.glob("*.safetensors")):
        folder = Path(download(name, what, (*SMALL_FILES, "*.bin")))
    if not complete(folder):
        raise InputError(f"{folder}: no weights of {name}, {what}")
    return folder


def download(name: str, what: str, patterns: Iterable[str]) -> str:
    """The local copy of a hub name's files."""
    try:
        return str(snapshot_download(name, allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{name} is not a local folder and cannot be loaded from the hub ({first_sentence(error)}); expected {what}"
        ) from error
