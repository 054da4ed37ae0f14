"""What a user may call a model: a folder, a name on the hub, or a checkpoint that ships with halbench."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from halbench.files.records import dumps
from halbench.scenes import checkpoint_path

HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def packaged_checkpoint(name: str) -> str:
    """The folder of a checkpoint that ships with halbench ("scenes:base"); any other name unchanged."""
    return str(checkpoint_path(name)) if name.startswith("scenes:") else name


def recorded_name(name: str) -> str:
    """The model's name in a manifest: of a folder its last part, so that the checkpoint may be moved."""
    return Path(name).resolve().name if Path(name).is_dir() else name


def template_identity(variables: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the chat template that were set, for the manifest and the signature; {} for none."""
    text = ",".join(f"{name}={dumps(value)}" for name, value in sorted(variables.items()))
    return {"template_kwargs": text} if text else {}
