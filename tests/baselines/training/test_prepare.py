"""Views made, references computed or found in the cache, pairs left out."""

import re
import shutil
from dataclasses import replace
from typing import Any

import pytest
import tiny_detectors
from small_training import RECIPE, plan

from baselines.pairs.preferences import read_pairs
from baselines.training.train import train
from halbench.errors import InputError
from halbench.folders.training import TrainingFolder


def test_objectives_share_the_reference_cache(undisturbed, model, pairs, tmp_path, monkeypatch):
    """After mDPO, DPO needs no pass of the reference."""

    def fail(*arguments: Any) -> None:
        raise AssertionError("the reference was run again")

    shutil.copytree(undisturbed.parent / "cache", tmp_path / "cache")
    monkeypatch.setattr("baselines.encoding.reference.keep", fail)
    train(plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, max_steps=1)))


def test_pairs_that_are_too_long_are_left_out_and_named(model, pairs, tmp_path):
    lengths = [len(pair.chosen) for pair in read_pairs(pairs).pairs]
    recipe = replace(RECIPE, max_length=55, max_steps=1)
    proof = train(plan("dpo", model, pairs, tmp_path / "out", recipe))["identity"]
    assert 0 < len(proof["dropped"]) < len(lengths)
    assert proof["used"] == len(lengths) - len(proof["dropped"])


def test_when_all_pairs_are_too_long_nothing_is_trained(model, pairs, tmp_path):
    with pytest.raises(InputError, match="all 12 pairs are longer than 10 tokens"):
        train(plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, max_length=10)))


def test_a_detector_finds_the_key_objects_of_mfpo_and_is_not_loaded_for_others(model, pairs, tmp_path, data):
    assert data.root.is_dir()  # MFPO reads its key words with NLTK, whose data is there as well
    dino = tiny_detectors.grounding_dino(tmp_path / "dino")
    recipe = replace(RECIPE, epochs=1, detector=str(dino))
    train(plan("mfpo", model, pairs, tmp_path / "mfpo", recipe))
    proof = TrainingFolder(tmp_path / "mfpo").record()["identity"]["views"]["region_noised"]
    assert re.match(r"[1-9]\d* of \d+ keywords found", proof["regions"])
    (dino / "config.json").unlink()
    train(plan("dpo", model, pairs, tmp_path / "dpo", recipe))
    with pytest.raises(InputError, match="grounding model"):
        train(plan("mfpo", model, pairs, tmp_path / "again", recipe))
