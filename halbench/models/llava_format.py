"""Checkpoints in the format of LLaVA's own code, which transformers cannot open: told from others, and how to convert one.

full        config.json with mm_vision_tower ..., pytorch_model-*.bin or model-*.safetensors
adapter     adapter_config.json, non_lora_trainables.bin, mostly config.json; on a language model or a full checkpoint
projector   mm_projector.bin and config.json, on a language model
"""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import try_to_load_from_cache

from halbench.errors import InputError
from halbench.models.names import HUB_NAME

Kind = Literal["full", "adapter", "projector"]

ARCHITECTURE = re.compile(r"Llava\w*ForCausalLM")
LANGUAGE_WEIGHTS = ("pytorch_model*.bin*", "model*.safetensors*")


def llava_kind(folder: Path) -> Kind | None:
    """Which of the three a folder is; None if it is no checkpoint in LLaVA's own format."""
    ours = is_llava_config(config_of(folder))
    if (folder / "adapter_config.json").is_file():
        base = recorded_base(folder, "adapter")
        on_ours = base is not None and is_llava_config(config_of(Path(base)))
        return "adapter" if ours or on_ours or (folder / "non_lora_trainables.bin").is_file() else None
    if any(any(folder.glob(pattern)) for pattern in LANGUAGE_WEIGHTS):
        return "full" if ours else None
    if (folder / "mm_projector.bin").is_file():
        return "projector"
    return "full" if ours else None


def is_llava_config(config: Mapping[str, Any]) -> bool:
    """Whether a config.json was written by LLaVA's own code; transformers' own has vision_config."""
    if "vision_config" in config:
        return False
    names = config.get("architectures") or []
    return "mm_vision_tower" in config or any(ARCHITECTURE.fullmatch(str(name)) for name in names)


def config_of(folder: Path) -> Mapping[str, Any]:
    """The config.json of a folder; {} if it has none that can be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def refuse_llava_format(source: str) -> None:
    """Raise InputError, with the command that converts it, for a folder or hub name of a checkpoint in LLaVA's own format.
    Of a hub name only what was loaded before is known."""
    folder = Path(source)
    kind = llava_kind(folder) if folder.is_dir() else None
    if not folder.exists() and HUB_NAME.fullmatch(source):
        cached = try_to_load_from_cache(source, "config.json")
        kind = "full" if isinstance(cached, str) and is_llava_config(config_of(Path(cached).parent)) else None
    if kind is not None:
        raise InputError(
            f"{source} is a checkpoint in LLaVA's own format; convert it first: {conversion_command(source, kind)}"
        )


def conversion_command(source: str, kind: Kind) -> str:
    """The command that converts a checkpoint, with the flags that it needs."""
    command = ["halbench", "convert", shlex.quote(source), "--out", shlex.quote(f"{Path(source).name}-hf")]
    if kind != "full":
        recorded = recorded_base(Path(source), kind)
        if kind == "projector" or not (recorded and Path(recorded).is_dir()):
            command += ["--base", shlex.quote(recorded or "PATH")]
    tower = config_of(Path(source)).get("mm_vision_tower")
    if isinstance(tower, str) and Path(tower).is_absolute() and not Path(tower).is_dir():
        command += ["--vision-tower", "PATH"]
    return " ".join(command)


def recorded_base(folder: Path, kind: Kind) -> str | None:
    """The base model that an adapter or a projector names: folder or hub name."""
    if kind == "projector":
        return config_of(folder).get("_name_or_path") or None
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return config.get("base_model_name_or_path") or None
    except (OSError, ValueError, AttributeError):
        return None
