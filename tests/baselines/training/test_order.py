"""The order in which a recipe trains the pairs."""

from dataclasses import replace

from small_training import RECIPE, plan

from baselines.pairs.preferences import read_pairs
from baselines.training import data_proof
from baselines.training.arguments import training_arguments
from baselines.training.open_objective import open_objective
from baselines.training.prepare import prepare
from baselines.training.train import train
from halbench.folders.training import TrainingFolder


def test_the_order_on_record_is_the_one_that_was_trained(undisturbed, model, pairs, tmp_path):
    short, long = (
        train(plan("mdpo", model, pairs, tmp_path / str(steps), replace(RECIPE, max_steps=steps))) for steps in (1, 99)
    )
    whole = TrainingFolder(undisturbed).record()
    assert (short["steps"], long["steps"]) == (1, whole["steps"])
    assert len(short["identity"]["order"]) == 1
    assert data_proof.differences(whole["identity"], long["identity"]) == []
    assert "order" in "; ".join(data_proof.differences(whole["identity"], short["identity"]))


def test_any_objective_can_be_trained_as_a_curriculum(model, pairs, tmp_path):
    dpo = plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, order="curriculum", epochs=1))
    prepared = prepare(dpo, open_objective("dpo", {}), dpo.model, read_pairs(dpo.data), training_arguments(dpo))
    (order,) = prepared.order
    entropy = [
        float(prepared.batches.cache.tokens(prepared.data[index].keys()["chosen"]).entropy.mean()) for index in order
    ]
    assert max(entropy[:4]) <= min(entropy[4:8])
    assert max(entropy[4:8]) <= min(entropy[8:])
