"""Pairs as batches of the scoring model's arguments."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset

from baselines.encoding.collation import collate, token_positions
from baselines.encoding.encoder import Encoder
from baselines.encoding.packed_forward import split_by_view
from baselines.encoding.reference import reference_values
from baselines.encoding.reference_cache import ReferenceCache
from baselines.encoding.sequences import Example
from baselines.training import preflight
from baselines.types import Pair, Scored
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant
from halbench.errors import InputError
from halbench.plugins import users_mistake


class PairViews(Dataset[Example]):
    """The pairs as Examples with all views, which are made anew at each access."""

    def __init__(self, pairs: Sequence[Pair], views: Sequence[str], seed: int, tools: Tools, encoder: Encoder) -> None:
        self.pairs, self.views, self.seed, self.tools, self.encoder = pairs, views, seed, tools, encoder

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Example:
        pair = self.pairs[index]
        try:
            variants = {view: make_variant(view, pair, self.seed, self.tools) for view in self.views}
        except Exception as error:  # a view of the user's own may raise anything; a worker process would hide its line
            if not isinstance(error, InputError) and (line := users_mistake(error)) is not None:
                raise InputError(line) from error
            raise
        return self.encoder.example(pair, variants)


@contextmanager
def plain_worker_errors() -> Iterator[None]:
    """Raises the InputError of a DataLoader's worker with its own message; torch writes the worker's trace before
    it."""
    try:
        yield
    except InputError as error:
        message = str(error.args[0])  # with its line ends
        if not message.startswith("Caught "):
            raise
        raise type(error)(message.rpartition("\n" + qualified_name(error) + ": ")[2].strip()) from error


def qualified_name(error: BaseException) -> str:
    """As a trace writes the type of an exception."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


@dataclass(frozen=True)
class Batches:
    """Examples -> a training batch: the scoring model's arguments, the reference, and where each view's tokens are."""

    cache: ReferenceCache
    pad_id: int
    packed: bool
    image_token: int | None

    def __call__(self, examples: list[Example]) -> dict[str, Any]:
        preflight.check_examples(examples, self.image_token)
        rewarded = dict.fromkeys(view for example in examples for view in example.rewards)
        return {
            "ids": [example.id for example in examples],
            "arguments": collate([s for example in examples for s in example.sequences], self.pad_id, self.packed),
            "token_positions": token_positions(examples),
            "reference": reference_values(examples, self.cache),
            "rewards": {
                view: torch.tensor([example.rewards.get(view, float("nan")) for example in examples])
                for view in rewarded
            },
            "altered": list(examples[0].altered),
        }


def scored_batch(model: Any, batch: Mapping[str, Any]) -> Scored:
    """Log-probs of a batch under the policy, with gradient, and under the reference. One forward pass."""
    tokens = model(**batch["arguments"])
    return Scored(
        split_by_view(tokens.logp, batch["token_positions"]),
        split_by_view(batch["reference"], batch["token_positions"]),
        batch["rewards"],
    )
