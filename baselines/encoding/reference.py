"""The pass of the reference model over all pairs, before training: what it computes, and how training reads it back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from baselines.encoding.packed_forward import Tokens
from baselines.encoding.reference_cache import ReferenceCache
from baselines.encoding.sequences import Example, TokenSequence
from halbench.errors import InputError

FLUSH = 32  # batches between two files: a kill loses about a minute of a 7B model


@dataclass(frozen=True)
class PairInfo:
    """What is known of a pair once its views were made. length: tokens. contents, notes: by view, see Example. entropy:
    mean over the tokens of the chosen answer under the reference, in nats; None without a view "chosen"."""

    id: str
    length: int
    contents: Mapping[str, str]
    notes: Mapping[str, Mapping[str, Any]]
    entropy: float | None


def precompute(
    batches: Iterable[list[Example]],
    cache: ReferenceCache,
    score: Callable[[list[TokenSequence]], Tokens],
    longest: int | None,
) -> Iterable[list[PairInfo]]:
    """The PairInfo of every example, batch by batch; its reference log-probs are then in the cache.

    score(sequences) -> Tokens under the reference. Cached sequences are not run again; examples of more than `longest`
    tokens are not run at all.
    """
    for number, examples in enumerate(batches, 1):
        missing = [
            sequence
            for example in examples
            if longest is None or example.length() <= longest
            for sequence in example.sequences
            if any(sequence.key(branch) not in cache for branch in sequence.branches)
        ]
        if missing:
            keep(missing, score(missing), cache)
        if number % FLUSH == 0:
            cache.flush()
        yield [pair_info(example, cache) for example in examples]
    cache.flush()


def keep(sequences: list[TokenSequence], tokens: Tokens, cache: ReferenceCache) -> None:
    """Put the answers of scored sequences into the cache; entries that it has already stay as they are."""
    start = 0
    for sequence in sequences:
        for branch in sequence.branches:
            end = start + len(branch.ids)
            key = sequence.key(branch)
            if key not in cache:
                cache.add(key, Tokens(tokens.logp[start:end], tokens.entropy[start:end]))
            start = end


def pair_info(example: Example, cache: ReferenceCache) -> PairInfo:
    chosen = example.keys().get("chosen")
    entropy = float(cache.tokens(chosen).entropy.mean()) if chosen is not None and chosen in cache else None
    return PairInfo(example.id, example.length(), example.contents, example.notes, entropy)


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
                        "views must be deterministic in (pair, seed)"
                    )
                values.append(cache.tokens(key).logp)
    return torch.cat(values)
