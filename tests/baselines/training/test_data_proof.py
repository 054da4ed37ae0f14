"""Two runs prove that they saw the same data."""

from dataclasses import replace

from small_training import RECIPE, plan

from baselines.training import data_proof
from baselines.training.train import train
from halbench.folders.training import TrainingFolder


def test_two_objectives_prove_that_they_saw_the_same_data(undisturbed, model, pairs, tmp_path):
    dpo = train(plan("dpo", model, pairs, tmp_path / "dpo"))["identity"]
    mdpo = TrainingFolder(undisturbed).record()["identity"]
    assert data_proof.differences(dpo, mdpo) == []
    other = train(plan("dpo", model, pairs, tmp_path / "other", replace(RECIPE, seed=1)))
    differing = " ".join(data_proof.differences(other["identity"], mdpo))
    assert "order" in differing
    assert "seed: 1 (first run), 0 (this run)" in differing
    assert "chosen" not in differing, "the chosen answers are the same whatever the seed"
