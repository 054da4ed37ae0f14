"""Online groups: answers that follow from the seed, and a loss that moves the policy alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_training
import torch
from small_training import CPU, interrupt_after, largest_difference, log_rows

from baselines.encoding.encoder import Encoder
from baselines.encoding.packed_forward import as_scoring_model
from baselines.objectives import mbpo
from baselines.pairs.questions import questions_hash, read_questions, reward
from baselines.training import adaptation
from baselines.training.recipes import Recipe, TrainingPlan
from baselines.training.rollouts import Rollouts, online_log, until_end
from baselines.training.train import train
from halbench.models.checkpoints import open_checkpoint
from halbench.scenes import checkpoint_path


def test_the_end_token_is_part_of_an_answer_and_nothing_behind_it_is():
    assert until_end(torch.tensor([5, 6, 2, 0, 0]), torch.tensor([2])).tolist() == [5, 6, 2]
    assert until_end(torch.tensor([5, 6]), torch.tensor([2])).tolist() == [5, 6]


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> Rollouts:
    checkpoint = open_checkpoint(str(checkpoint_path("base")), CPU)
    return Rollouts(
        questions=read_questions("scenes", 0, tmp_path_factory.mktemp("questions")),
        encoder=Encoder(checkpoint, packed=True),
        loss=mbpo.online_loss,
        config=mbpo.Config(),
        per_call=3,
        size=4,
        seed=0,
        temperature=1.5,
        pad_id=checkpoint.processor.tokenizer.pad_token_id,
    )


@pytest.fixture(scope="module")
def policy(rollouts: Rollouts) -> Any:
    """The shipped base under an adapter that already does something."""
    base = as_scoring_model(adaptation.without_dropout(rollouts.encoder.checkpoint.model))
    torch.manual_seed(0)
    adapted = adaptation.with_lora(base, 4, 8, "base")
    for name, weights in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.02)
    return adapted.train()


def test_scene_questions_are_answered_by_truth_as_often_yes_as_the_scenes_say(rollouts):
    answers = [one.answer for one in rollouts.questions]
    assert set(answers) == {"yes", "no"}
    assert questions_hash(rollouts.questions[:5]) != questions_hash(rollouts.questions[1:6])


def test_the_same_step_asks_and_answers_the_same_and_leaves_other_randomness_alone(rollouts, policy):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, again, other = rollouts(policy, 3, 0), rollouts(policy, 3, 0), rollouts(policy, 4, 0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.per_pair, again.per_pair)
    assert not torch.equal(one.per_pair, other.per_pair)
    assert policy.training


def test_every_answer_has_its_own_question_s_reward(rollouts, policy):
    questions = rollouts.questions[:3]
    sequences, rewards = rollouts.answered(policy, questions, seed=1)
    tokenizer = rollouts.encoder.processor.tokenizer
    texts = [[tokenizer.decode(b.ids, skip_special_tokens=True) for b in one.branches] for one in sequences]
    expected = [reward(one, text) for one, answers in zip(questions, texts, strict=True) for text in answers]
    assert rewards.tolist() == expected
    assert len(expected) == 12


def test_packed_answers_get_the_log_probs_that_each_gets_alone(rollouts, policy):
    unpacked = replace(rollouts, encoder=Encoder(rollouts.encoder.checkpoint, packed=False))
    sequences, _ = rollouts.answered(policy, rollouts.questions[:3], seed=1)
    with torch.no_grad():
        together, alone = (way.logps(policy, way.batch(sequences), sequences) for way in (rollouts, unpacked))
    assert torch.equal(together.mask, alone.mask)
    assert torch.allclose(together.token, alone.token, atol=1e-4)


def test_the_loss_moves_the_adapter_and_nothing_else(rollouts, policy):
    policy.zero_grad()
    rollouts(policy, 0, 0).per_pair.mean().backward()
    moved = {name for name, weights in policy.named_parameters() if weights.grad is not None and weights.grad.any()}
    assert moved
    assert all("lora_" in name for name in moved)


def test_the_reference_is_the_model_without_its_adapter(rollouts, policy):
    assert online_log(rollouts(policy, 0, 0))["online/kl"] > 1e-4
    with policy.disable_adapter(), torch.no_grad():
        assert float(rollouts(policy, 0, 0).terms["kl"].abs().max()) < 1e-6


def test_groups_in_which_all_answers_earn_the_same_teach_nothing_and_are_counted(rollouts, policy):
    sure = replace(rollouts, temperature=1e-3)
    policy.zero_grad()
    loss = sure(policy, 0, 0)
    loss.per_pair.mean().backward()
    assert online_log(loss)["online/left_out"] == 1.0
    assert not any(weights.grad.any() for weights in policy.parameters() if weights.grad is not None)


def plan(folder: Path, out: str, **settings: Any) -> TrainingPlan:
    recipe = Recipe(
        epochs=3,
        batch_size=2,
        learning_rate=1e-3,
        lora_r=4,
        save_steps=1,
        warmup_ratio=0.0,
        online="scenes",
        online_per_step=2,
    )
    mbpo_plan = small_training.plan("mbpo", Path("scenes:base"), folder / "pairs", folder / out, recipe)
    return replace(mbpo_plan, settings=settings)


@pytest.mark.slow
def test_training_with_rollouts_that_is_interrupted_ends_with_the_same_weights(tmp_path):
    small_training.write_pairs(tmp_path / "pairs", 2)
    whole, parted = plan(tmp_path, "whole"), plan(tmp_path, "parted")
    record = train(whole)
    with pytest.raises(KeyboardInterrupt), interrupt_after(2):
        train(parted)
    train(parted)
    assert largest_difference(whole.out, parted.out) == 0
    rows = log_rows(whole.out)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all("online/reward" in row and "online/left_out" in row for row in rows)
    assert record["identity"]["questions"]
    off = train(plan(tmp_path, "off", group_size=0))
    assert "questions" not in off["identity"]
    assert not any("online/reward" in row for row in log_rows(tmp_path / "off"))
