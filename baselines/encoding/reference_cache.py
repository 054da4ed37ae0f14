"""Log-probs under the reference model, kept on disk for all objectives and seeds.

    CACHE/reference/<key>/identity.json          all that changes the numbers: weights, dtype, processor, template, versions
    CACHE/reference/<key>/<hash>.safetensors     entry key -> [2, T]: log-prob and entropy of each response token, float32

An entry's key is the hash of images, prompt tokens and answer tokens. A file's name is the hash of its bytes, so that a
damaged file counts as absent and its entries are computed again. Files are written whole or not at all and never
changed: a pass that was killed resumes, and several processes may fill one folder.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from baselines.encoding.packed_forward import Tokens
from halbench.errors import InputError
from halbench.files.records import content_hash, differing_fields, read_json, write_json
from halbench.files.writing import replacing

SAMPLE = 65_536  # values of a tensor that go into its hash, about
NOT_IN_KEY = ("model",)  # the name of the model's folder changes no number


def weights_hash(model: Any) -> str:
    """Hash of the names, shapes and values of a model's weights; of a large tensor, of SAMPLE values spread over it.

    The ends of the checkpoint's files would not do: merging an adapter changes only their middle.
    """
    digest = sha256()
    for name, weights in sorted(model.state_dict().items()):
        flat = weights.detach().reshape(-1)
        few = flat[:: max(1, len(flat) // SAMPLE)].cpu().contiguous()
        digest.update(f"{name}{tuple(weights.shape)}{weights.dtype}".encode() + few.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


class ReferenceCache:
    """Tokens by entry key, in memory and on disk."""

    def __init__(self, root: Path, identity: Mapping[str, str]) -> None:
        identity = {name: value for name, value in identity.items() if name not in NOT_IN_KEY}
        self.key = content_hash(identity, 16)
        self.folder = root / "reference" / self.key
        self.unsaved: dict[str, torch.Tensor] = {}
        self.entries: dict[str, torch.Tensor] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "identity.json"
        if differing := differing_fields(read_identity(path) or identity, identity):
            raise InputError(
                f"{path} was written for a different reference model ({'; '.join(differing)}); remove {self.folder}"
            )
        write_json(path, identity)
        self.read()

    def read(self) -> None:
        """Take in every whole file of the folder, those of other processes too."""
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                data = path.read_bytes()
            except OSError:
                continue
            if sha256(data).hexdigest()[:32] == path.stem:
                self.entries.update(load(data))

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def tokens(self, key: str) -> Tokens:
        """Log-probs and entropies [T] of an entry."""
        return Tokens(*self.entries[key])

    def add(self, key: str, tokens: Tokens) -> None:
        """Keep an entry; it is on disk after the next flush."""
        self.entries[key] = self.unsaved[key] = torch.stack(tokens).float().cpu()

    def flush(self) -> None:
        """Write what was added since the last flush."""
        if not self.unsaved:
            return
        data = save(dict(sorted(self.unsaved.items())))
        name = sha256(data).hexdigest()[:32]
        with replacing(self.folder / f"{name}.safetensors") as partial:
            partial.write_bytes(data)
        self.unsaved = {}


def read_identity(path: Path) -> dict[str, Any] | None:
    """The identity in a file; None for a missing or unreadable file."""
    try:
        identity = read_json(path)
    except InputError:
        return None
    return identity if isinstance(identity, dict) else None
