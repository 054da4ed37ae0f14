"""Weight files, read without running anything in them and without holding more than one tensor at a time.

    weights = read_weights([Path("pytorch_model-00001-of-00002.bin"), Path("pytorch_model-00002-of-00002.bin")])
    weights["model.embed_tokens.weight"].read()     # [32000, 4096]

A .bin file is a pickle, which can name any function to call; torch.load(weights_only=True) takes tensors and nothing else.
"""

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from halbench.errors import InputError, first_sentence

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Of safetensors files."""
OTHER = torch.int64
"""Stands for every type that is none of these: of buffers, and of quantised weights."""
PATTERNS = ("model.safetensors.index.json", "pytorch_model.bin.index.json", "model*.safetensors", "pytorch_model*.bin")
"""Where a model's weights are, the first that exists."""


@dataclass(frozen=True)
class Weight:
    """A tensor in a file. name: its name there. read: gives it, from disk."""

    name: str
    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], torch.Tensor]

    def changed(self, shape: tuple[int, ...], change: Callable[[torch.Tensor], torch.Tensor]) -> "Weight":
        """This weight with something done to it when it is read."""
        return replace(self, shape=shape, read=lambda: change(self.read()))


def model_weights(folder: Path) -> dict[str, Weight]:
    """Name -> weight, of the whole model in a folder: one file, or those of an index."""
    for pattern in PATTERNS:
        files = sorted(folder.glob(pattern))
        if files and pattern.endswith(".json"):
            return read_weights(indexed_files(files[0]))
        if files:
            return read_weights(files)
    raise InputError(f"{folder}: expected weights, pytorch_model*.bin or model*.safetensors; found none")


def indexed_files(index: Path) -> list[Path]:
    """The weight files that an index names. Raises InputError if one is missing."""
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{index}: expected an index of weight files ({first_sentence(error)})") from error
    files = [index.with_name(Path(str(name)).name) for name in sorted(names)]
    if missing := next((file for file in files if not file.is_file()), None):
        raise InputError(f"{index} names {missing.name}, which is missing; is the checkpoint complete?")
    return files


def read_weights(files: Iterable[Path]) -> dict[str, Weight]:
    """Name -> weight. Raises InputError for a file that cannot be read, holds other things than tensors, or repeats a name."""
    weights: dict[str, Weight] = {}
    for file in files:
        for weight in read_safetensors(file) if file.suffix == ".safetensors" else read_pickle(file):
            if weight.name in weights:
                raise InputError(f"{file}: {weight.name} is in {weights[weight.name].file} as well")
            weights[weight.name] = weight
    return weights


def read_safetensors(file: Path) -> list[Weight]:
    try:
        opened: Any = safe_open(file, framework="pt")
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118   it is no mapping
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: cannot be read ({first_sentence(error)}); is it complete?") from error
    return [
        Weight(
            name, file, tuple(part.get_shape()), DTYPES.get(part.get_dtype(), OTHER), partial(opened.get_tensor, name)
        )
        for name, part in slices.items()
    ]


def read_pickle(file: Path) -> list[Weight]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file of an uncommon kind is read or refused either way
            # Files from before PyTorch 1.6 are no zip archives and cannot be mapped.
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise InputError(f"{file}: contains more than weights, and could run code when it is read") from error
        raise InputError(f"{file}: cannot be read ({first_sentence(error)}); is it complete?") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: cannot be read ({first_sentence(error)}); is it complete?") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{file}: expected names and tensors, found a {type(content).__name__}")
    weights = []
    for name, tensor in content.items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError(f"{file}: expected a tensor as {name!r}, found a {type(tensor).__name__}")
        dtype = tensor.dtype if tensor.dtype in DTYPES.values() else OTHER
        weights.append(Weight(str(name), file, tuple(tensor.shape), dtype, partial(_itself, tensor)))
    return weights


def _itself(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach()
