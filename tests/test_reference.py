"""The cache of reference log-probs: what is in it is found again, what is wrong is found out."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.collation import Branch, Example, Sequence
from baselines.logprobs import Tokens
from baselines.reference import FLUSH, ReferenceCache, reference_values, survey, weights_hash
from halbench.errors import InputError

IDENTITY = {"fingerprint": "abc", "dtype": "float32", "model": "my-folder"}


def example(number: int, image: str = "white") -> Example:
    prompt = {"input_ids": torch.tensor([[5, 6, 7]])}
    branches = (Branch("chosen", torch.tensor([number, 1])), Branch("rejected", torch.tensor([number, 2, 3])))
    return Example(str(number), (Sequence(prompt, image, branches),), {"chosen": "c", "rejected": "r"})


class Scorer:
    """Log-probs that tell their token; counts what it is asked."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.sequences, self.fails_after = 0, fails_after

    def __call__(self, sequences: list[Sequence]) -> Tokens:
        if self.fails_after is not None and self.sequences >= self.fails_after:
            raise KeyboardInterrupt
        self.sequences += len(sequences)
        ids = torch.cat([branch.ids for sequence in sequences for branch in sequence.branches])
        return Tokens(-ids / 8, ids / 4)


def fill(cache: ReferenceCache, scorer: Any, count: int = 4, longest: int | None = None) -> list[Any]:
    batches = ([example(2 * number), example(2 * number + 1)] for number in range(count // 2))
    return [pair for batch in survey(batches, cache, scorer, longest) for pair in batch]


def test_what_was_computed_once_is_never_computed_again(tmp_path):
    first, second = Scorer(), Scorer()
    fill(ReferenceCache(tmp_path, IDENTITY), first)
    cache = ReferenceCache(tmp_path, IDENTITY)
    fill(cache, second)
    assert (first.sequences, second.sequences) == (4, 0)
    assert reference_values([example(3)], cache).tolist() == [-3 / 8, -1 / 8, -3 / 8, -2 / 8, -3 / 8]


def test_another_objective_pays_for_its_own_views_only(tmp_path):
    cache, scorer = ReferenceCache(tmp_path, IDENTITY), Scorer()
    fill(cache, scorer)
    cropped = Sequence(example(1).sequences[0].inputs, "crop", (Branch("cropped", torch.tensor([1, 1])),))
    list(survey([[Example("1", (*example(1).sequences, cropped))]], cache, scorer, None))
    assert scorer.sequences == 5


def test_a_killed_filling_goes_on_where_its_last_file_ends(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(ReferenceCache(tmp_path, IDENTITY), Scorer(fails_after=2 * FLUSH + 6), count=4 * FLUSH)
    again = Scorer()
    fill(ReferenceCache(tmp_path, IDENTITY), again, count=4 * FLUSH)
    assert again.sequences == 2 * FLUSH


@pytest.mark.parametrize(
    "change", [{"fingerprint": "other"}, {"dtype": "bfloat16"}, {"chat_template": "new"}, {"adapter": "x"}]
)
def test_another_model_has_a_cache_of_its_own(tmp_path, change):
    fill(ReferenceCache(tmp_path, IDENTITY), Scorer())
    assert not ReferenceCache(tmp_path, {**IDENTITY, **change}).entries


def test_the_name_of_a_models_folder_changes_nothing(tmp_path):
    fill(ReferenceCache(tmp_path, IDENTITY), Scorer())
    assert ReferenceCache(tmp_path, {**IDENTITY, "model": "renamed"}).entries


def test_another_image_is_another_entry():
    assert example(1).keys() != example(1, image="black").keys()


def test_a_damaged_file_is_found_out(tmp_path):
    cache = ReferenceCache(tmp_path, IDENTITY)
    fill(cache, Scorer())
    (path,) = cache.folder.glob("*.safetensors")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="changed or damaged"):
        ReferenceCache(tmp_path, IDENTITY)


def test_a_folder_of_another_identity_is_found_out(tmp_path):
    cache = ReferenceCache(tmp_path, IDENTITY)
    (cache.folder / "identity.json").write_text('{"fingerprint": "forged", "dtype": "float32"}')
    with pytest.raises(InputError, match='fingerprint: "forged" there, "abc" here'):
        ReferenceCache(tmp_path, IDENTITY)


def test_a_half_written_file_is_not_read(tmp_path):
    cache = ReferenceCache(tmp_path, IDENTITY)
    Path(cache.folder / "0123.99.partial").write_bytes(b"half")
    assert not ReferenceCache(tmp_path, IDENTITY).entries


def test_pairs_that_are_too_long_are_not_run(tmp_path):
    scorer = Scorer()
    found = fill(ReferenceCache(tmp_path, IDENTITY), scorer, longest=5)
    assert [pair.length for pair in found] == [6, 6, 6, 6]
    assert scorer.sequences == 0


def test_difficulty_is_the_mean_token_entropy_of_the_chosen_answer(tmp_path):
    found = fill(ReferenceCache(tmp_path, IDENTITY), Scorer())
    assert found[3].entropy == pytest.approx((3 / 4 + 1 / 4) / 2)


def test_a_view_that_comes_out_differently_is_found_out(tmp_path):
    cache = ReferenceCache(tmp_path, IDENTITY)
    fill(cache, Scorer())
    with pytest.raises(InputError, match="pair 1: its view 'chosen' is not the one"):
        reference_values([example(1, image="another crop")], cache)


def test_a_change_in_one_layer_is_another_model():
    network = torch.nn.Sequential(*[torch.nn.Linear(300, 300) for _ in range(3)])
    before = weights_hash(network)
    with torch.no_grad():
        network[1].weight += 1e-3 * torch.randn(300, 1) @ torch.randn(1, 300)  # as merging an adapter does
    assert weights_hash(network) != before
    assert weights_hash(network.bfloat16()) != weights_hash(network.float())


def test_several_processes_may_open_a_new_cache_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for round in range(40):
            found = list(pool.map(lambda _, place=tmp_path / str(round): ReferenceCache(place, IDENTITY).key, range(8)))
            assert len(set(found)) == 1
            assert [path.name for path in (tmp_path / str(round) / "reference" / found[0]).iterdir()] == [
                "identity.json"
            ]
