"""Checkpoints in the format of LLaVA's own code, which transformers does not read: recognised here, converted by
`halbench convert` (halbench/converting).

    full       config.json with mm_... fields, weights named model.layers..., model.mm_projector...
    lora       adapter_config.json and non_lora_trainables.bin
    projector  mm_projector.bin alone
"""

from pathlib import Path
from typing import Any, Literal

from halbench.errors import InputError
from halbench.files.records import read_json

Layout = Literal["full", "lora", "projector"]
PROJECTOR, NOT_LORA = "mm_projector.bin", "non_lora_trainables.bin"
LLAVA_FIELDS = ("mm_vision_tower", "mm_projector_type", "mm_hidden_size")


def llava_config(folder: Path) -> dict[str, Any] | None:
    """config.json, if it is one of LLaVA's own code."""
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else None
    return config if isinstance(config, dict) and any(name in config for name in LLAVA_FIELDS) else None


def llava_layout(folder: Path) -> Layout | None:
    """The kind of checkpoint of LLaVA's own code that a folder holds; None for any other."""
    if not folder.is_dir():
        return None
    is_llava = llava_config(folder) is not None
    if (folder / "adapter_config.json").is_file():
        return "lora" if is_llava or (folder / NOT_LORA).is_file() else None
    if any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin")):
        return "full" if is_llava else None
    return "projector" if (folder / PROJECTOR).is_file() else None


def refuse_llava_format(name: str) -> None:
    """Raise InputError, with the command that converts it, for a checkpoint in the format of LLaVA's own code."""
    layout = llava_layout(Path(name))
    if layout is not None:
        base = "" if layout == "full" else " --base LANGUAGE_MODEL"
        raise InputError(
            f"{name} is in the format of LLaVA's own code; convert it first: halbench convert {name} --out DIR{base}"
        )
