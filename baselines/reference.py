"""Log-probs under the reference model, computed once and kept on disk for all objectives and seeds.

    CACHE/reference/<key>/identity.json          all that changes the numbers: weights, dtype, processor, template, versions
    CACHE/reference/<key>/<hash>.safetensors     entry key -> [2, T]: log-prob and entropy of each response token, float32

An entry's key is the hash of image, prompt tokens and answer tokens; a file's name is the hash of its bytes, so that a file
that is not what was written is found out. Files are written whole or not at all, and never changed: a pass that is killed
goes on where it stopped, and several processes can fill one folder.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from baselines.collation import Example, Sequence
from baselines.logprobs import Tokens
from halbench.errors import InputError
from halbench.records import content_hash, read_json, write_json
from halbench.run_folder import differing_fields

FLUSH = 32  # batches between two files: about a minute of a 7B model is lost by a kill
SAMPLE = 65_536  # values of a tensor that its hash looks at, about
NOT_IN_KEY = ("model",)  # what the folder is called changes no number


def weights_hash(network: Any) -> str:
    """Of names, shapes and values; of a large tensor, of SAMPLE values spread over it.

    A fingerprint of file ends does not do here: a merged adapter changes only the middle of a checkpoint's files.
    """
    digest = sha256()
    for name, weights in sorted(network.state_dict().items()):
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
        if path.is_file():
            differences = differing_fields(read_json(path), identity)
            if differences:
                raise InputError(f"{path} is not of this reference ({'; '.join(differences)}); remove {self.folder}")
        else:
            write_json(path, identity)
        self.read()

    def read(self) -> None:
        """Take in every file of the folder, those of other processes too."""
        for path in sorted(self.folder.glob("*.safetensors")):
            data = path.read_bytes()
            if sha256(data).hexdigest()[:32] != path.stem:
                raise InputError(f"{path} was changed or damaged after it was written; remove it, it is computed again")
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
        partial = self.folder / f"{name}.{os.getpid()}.partial"
        partial.write_bytes(data)
        os.replace(partial, self.folder / f"{name}.safetensors")
        self.unsaved = {}


@dataclass(frozen=True)
class Surveyed:
    """What is known of a pair once its views were made. length: tokens. contents, notes: by view, see Example. entropy: mean
    over the tokens of the chosen answer under the reference, in nats; None where no view is called chosen."""

    id: str
    length: int
    contents: Mapping[str, str]
    notes: Mapping[str, Mapping[str, Any]]
    entropy: float | None


def survey(
    batches: Iterable[list[Example]],
    cache: ReferenceCache,
    score: Callable[[list[Sequence]], Tokens],
    longest: int | None,
) -> Iterable[list[Surveyed]]:
    """Batch by batch: what became of the pairs, their reference log-probs being in the cache from then on.

    score(sequences) -> Tokens under the reference. Sequences that are in the cache are not run again; of examples longer
    than `longest` nothing is run.
    """
    for number, examples in enumerate(batches, 1):
        wanted = [
            sequence
            for example in examples
            if longest is None or example.length() <= longest
            for sequence in example.sequences
            if any(sequence.key(branch) not in cache for branch in sequence.branches)
        ]
        if wanted:
            keep(wanted, score(wanted), cache)
        if number % FLUSH == 0:
            cache.flush()
        yield [surveyed(example, cache) for example in examples]
    cache.flush()


def keep(sequences: list[Sequence], tokens: Tokens, cache: ReferenceCache) -> None:
    """Put the answers of scored sequences into the cache; what is there already stays as it is."""
    start = 0
    for sequence in sequences:
        for branch in sequence.branches:
            end = start + len(branch.ids)
            key = sequence.key(branch)
            if key not in cache:
                cache.add(key, Tokens(tokens.logp[start:end], tokens.entropy[start:end]))
            start = end


def surveyed(example: Example, cache: ReferenceCache) -> Surveyed:
    chosen = example.keys().get("chosen")
    entropy = float(cache.tokens(chosen).entropy.mean()) if chosen is not None and chosen in cache else None
    return Surveyed(example.id, example.length(), example.contents, example.notes, entropy)


def reference_values(examples: list[Example], cache: ReferenceCache) -> torch.Tensor:
    """Log-probs [N] under the reference, in the order in which `collate` lays the tokens out."""
    values: list[Any] = []
    for example in examples:
        for sequence in example.sequences:
            for branch in sequence.branches:
                key = sequence.key(branch)
                if key not in cache:
                    raise InputError(
                        f"pair {example.id}: its view '{branch.view}' is not the one that the reference was computed for; "
                        "a view must come out the same for the same pair and seed"
                    )
                values.append(cache.tokens(key).logp)
    return torch.cat(values)
