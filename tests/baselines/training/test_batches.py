"""Errors of worker processes, and batches of pairs that a view left out."""

from collections.abc import Iterator

import pytest
import torch
from counted_scorer import IDENTITY, Scorer, example, fill
from torch.utils.data import DataLoader, Dataset

from baselines.encoding.reference_cache import ReferenceCache
from baselines.encoding.sequences import Example
from baselines.training.batches import Batches, plain_worker_errors
from halbench.errors import InputError, MissingExtra


class Failing(Dataset[int]):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        raise self.error


def read_all(error: Exception, workers: int) -> Iterator[None]:
    with plain_worker_errors():
        list(DataLoader(Failing(error), num_workers=workers))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("error", [InputError("pair 3: no: image"), MissingExtra("needs: pip install it")])
def test_an_input_error_of_a_worker_keeps_its_message_and_type(error, workers):
    with pytest.raises(type(error)) as caught:
        read_all(error, workers)
    assert str(caught.value) == str(error)


def test_other_errors_keep_their_trace():
    with pytest.raises(ValueError, match="Original Traceback"):
        read_all(ValueError("a bug"), workers=1)


def test_a_reward_that_some_pairs_lack_is_nan_for_them(tmp_path):
    cache = ReferenceCache(tmp_path, IDENTITY)
    fill(cache, Scorer())
    one, other = example(0), example(1)
    rewarded = Example(other.id, other.sequences, other.contents, rewards={"rejected": 0.5})
    batch = Batches(cache, pad_id=0, packed=True, image_token=None)([one, rewarded])
    assert batch["ids"] == ["0", "1"]
    assert torch.equal(batch["rewards"]["rejected"].isnan(), torch.tensor([True, False]))
    assert set(batch["token_positions"]) == {"chosen", "rejected"}
    assert len(batch["reference"]) == len(batch["arguments"]["targets"])
