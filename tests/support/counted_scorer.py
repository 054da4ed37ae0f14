"""A stand-in for the reference model that counts its work."""

from typing import Any

import torch

from baselines.encoding.packed_forward import Tokens
from baselines.encoding.reference import precompute
from baselines.encoding.reference_cache import ReferenceCache
from baselines.encoding.sequences import Branch, Example, TokenSequence

IDENTITY = {"fingerprint": "abc", "dtype": "float32", "model": "my-folder"}


def example(number: int, image: str = "white") -> Example:
    prompt = {"input_ids": torch.tensor([[5, 6, 7]])}
    branches = (Branch("chosen", torch.tensor([number, 1])), Branch("rejected", torch.tensor([number, 2, 3])))
    return Example(str(number), (TokenSequence(prompt, image, branches),), {"chosen": "c", "rejected": "r"})


class Scorer:
    """Gives each token a log-prob that follows from its id; counts the sequences."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.sequences, self.fails_after = 0, fails_after

    def __call__(self, sequences: list[TokenSequence]) -> Tokens:
        if self.fails_after is not None and self.sequences >= self.fails_after:
            raise KeyboardInterrupt
        self.sequences += len(sequences)
        ids = torch.cat([branch.ids for sequence in sequences for branch in sequence.branches])
        return Tokens(-ids / 8, ids / 4)


def fill(cache: ReferenceCache, scorer: Any, count: int = 4, longest: int | None = None) -> list[Any]:
    batches = ([example(2 * number), example(2 * number + 1)] for number in range(count // 2))
    return [pair for batch in precompute(batches, cache, scorer, longest) for pair in batch]
