"""The cache on disk: one folder per model, and what is damaged counts as absent."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from counted_scorer import IDENTITY, Scorer, example, fill

from baselines.encoding.reference import reference_values
from baselines.encoding.reference_cache import ReferenceCache, weights_hash
from halbench.errors import InputError


@pytest.mark.parametrize(
    "change", [{"fingerprint": "other"}, {"dtype": "bfloat16"}, {"chat_template": "new"}, {"adapter": "x"}]
)
def test_another_model_has_a_cache_of_its_own(tmp_path, change):
    fill(ReferenceCache(tmp_path, IDENTITY), Scorer())
    assert not ReferenceCache(tmp_path, {**IDENTITY, **change}).entries


def test_the_name_of_a_models_folder_changes_nothing(tmp_path):
    fill(ReferenceCache(tmp_path, IDENTITY), Scorer())
    assert ReferenceCache(tmp_path, {**IDENTITY, "model": "renamed"}).entries


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], lambda data: data[:20], lambda data: b""]
)
def test_a_damaged_file_counts_as_absent_and_is_computed_again(tmp_path, damage):
    cache = ReferenceCache(tmp_path, IDENTITY)
    fill(cache, Scorer())
    values = reference_values([example(3)], cache).tolist()
    (path,) = cache.folder.glob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    again, scorer = ReferenceCache(tmp_path, IDENTITY), Scorer()
    assert not again.entries
    fill(again, scorer)
    assert scorer.sequences == 4
    assert reference_values([example(3)], again).tolist() == values
    assert path.read_bytes() == whole
    assert reference_values([example(3)], ReferenceCache(tmp_path, IDENTITY)).tolist() == values


def test_a_file_that_cannot_be_opened_counts_as_absent(tmp_path):
    (ReferenceCache(tmp_path, IDENTITY).folder / "0123.safetensors").symlink_to(tmp_path / "gone")
    assert not ReferenceCache(tmp_path, IDENTITY).entries


def test_a_folder_of_another_identity_is_refused(tmp_path):
    cache = ReferenceCache(tmp_path, IDENTITY)
    (cache.folder / "identity.json").write_text('{"fingerprint": "forged", "dtype": "float32"}')
    with pytest.raises(InputError, match=r'fingerprint: "forged" \(recorded\), "abc" \(requested\)'):
        ReferenceCache(tmp_path, IDENTITY)


@pytest.mark.parametrize("text", ["", '{"fingerprint": "ab', "[1, 2]", "null", "\x00\xff"])
def test_an_unreadable_identity_is_written_again(tmp_path, text):
    cache = ReferenceCache(tmp_path, IDENTITY)
    fill(cache, Scorer())
    path = cache.folder / "identity.json"
    whole = path.read_text()
    path.write_bytes(text.encode("latin-1"))
    again = ReferenceCache(tmp_path, IDENTITY)
    assert again.entries.keys() == cache.entries.keys()
    assert path.read_text() == whole


def test_a_partly_written_file_is_not_read(tmp_path):
    cache = ReferenceCache(tmp_path, IDENTITY)
    Path(cache.folder / "0123.99.partial").write_bytes(b"half")
    assert not ReferenceCache(tmp_path, IDENTITY).entries


def test_a_change_in_one_layer_is_another_model():
    model = torch.nn.Sequential(*[torch.nn.Linear(300, 300) for _ in range(3)])
    before = weights_hash(model)
    with torch.no_grad():
        model[1].weight += 1e-3 * torch.randn(300, 1) @ torch.randn(1, 300)  # as merging an adapter does
    assert weights_hash(model) != before
    assert weights_hash(model.bfloat16()) != weights_hash(model.float())


def test_several_processes_may_open_a_new_cache_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for round in range(40):
            keys = set(pool.map(lambda _, root=tmp_path / str(round): ReferenceCache(root, IDENTITY).key, range(8)))
            assert len(keys) == 1
            assert [path.name for path in (tmp_path / str(round) / "reference" / keys.pop()).iterdir()] == [
                "identity.json"
            ]
