"""Online groups: verified rewards, answers that follow from the seed, and a loss that moves the policy alone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_training
import torch
from safetensors.torch import load_file
from small_training import log_rows

from baselines import adaptation, trainer
from baselines.collation import Encoder
from baselines.logprobs import scoring
from baselines.objectives import mbpo
from baselines.progress import silent
from baselines.questions import ClosedQuestion, choice_read, questions_hash, read_questions, reward
from baselines.recipes import Recipe, TrainingPlan
from baselines.rollouts import Rollouts, described, until_end
from halbench.backends.hf import open_checkpoint
from halbench.errors import InputError
from halbench.scenes import checkpoint_path
from halbench.types import BackendOptions

CPU = BackendOptions(device="cpu", dtype="float32")
FORK = ClosedQuestion("1", Path("1.png"), "Is there a fork in the image?", "no")


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("no", 1.5),
        ("No.", 1.5),
        ("No, there is none.", 1.0),
        ("Yes.", 0.5),
        ("Yes, two.", 0.0),
        ("A fork", 0.0),
        ("", 0.0),
    ],
)
def test_a_right_answer_earns_one_and_a_plain_one_a_half(text, worth):
    assert reward(FORK, text) == worth


@pytest.mark.parametrize(
    ("text", "read"), [("B", "b"), ("The answer is B.", "b"), ("A or B", None), ("", None), ("Because", None)]
)
def test_a_choice_is_read_where_it_is_the_only_one_named(text, read):
    assert choice_read(text, ("A", "B")) == read


def write_questions(folder: Path, **changed: Any) -> Path:
    small_training.write_pairs(folder / "pictures", 1)
    row = {"id": "q", "image": "pictures/0.png", "prompt": "Is it red?", "answer": "yes", **changed}
    path = folder / "questions.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return path


def test_questions_are_read_from_a_file_with_images_beside_it(tmp_path):
    path = write_questions(tmp_path, answer="B", choices=["A", "B"])
    assert read_questions(str(path), 0, tmp_path) == [
        ClosedQuestion("q", tmp_path / "pictures/0.png", "Is it red?", "B", ("A", "B"))
    ]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"answer": "maybe"}, "jsonl:1: answer 'maybe' is none of"),
        ({"image": "no.png"}, "jsonl:1: image .* is not there"),
    ],
)
def test_a_question_that_cannot_be_asked_is_named(tmp_path, changed, complaint):
    with pytest.raises(InputError, match=complaint):
        read_questions(str(write_questions(tmp_path, **changed)), 0, tmp_path)


def test_the_end_token_is_part_of_an_answer_and_nothing_behind_it_is():
    assert until_end(torch.tensor([5, 6, 2, 0, 0]), torch.tensor([2])).tolist() == [5, 6, 2]
    assert until_end(torch.tensor([5, 6]), torch.tensor([2])).tolist() == [5, 6]


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> Rollouts:
    checkpoint = open_checkpoint(str(checkpoint_path("base")), CPU)
    asked = read_questions("scenes", 0, tmp_path_factory.mktemp("questions"))
    return Rollouts(
        questions=asked,
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
def network(rollouts: Rollouts) -> Any:
    """The shipped base under an adapter that already does something."""
    base = scoring(adaptation.without_dropout(rollouts.encoder.checkpoint.network))
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


def test_the_same_step_asks_and_answers_the_same_and_leaves_other_randomness_alone(rollouts, network):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, again, other = rollouts(network, 3, 0), rollouts(network, 3, 0), rollouts(network, 4, 0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.per_pair, again.per_pair)
    assert not torch.equal(one.per_pair, other.per_pair)
    assert network.training


def test_every_answer_has_its_own_question_s_reward(rollouts, network):
    asked = rollouts.questions[:3]
    sequences, rewards = rollouts.answered(network, asked, seed=1)
    tokenizer = rollouts.encoder.processor.tokenizer
    texts = [[tokenizer.decode(b.ids, skip_special_tokens=True) for b in one.branches] for one in sequences]
    expected = [reward(one, text) for one, said in zip(asked, texts, strict=True) for text in said]
    assert rewards.tolist() == expected
    assert len(expected) == 12


def test_packed_answers_get_the_log_probs_that_each_gets_alone(rollouts, network):
    apart = replace(rollouts, encoder=Encoder(rollouts.encoder.checkpoint, packed=False))
    sequences, _ = rollouts.answered(network, rollouts.questions[:3], seed=1)
    with torch.no_grad():
        together, alone = (way.logps(network, way.batch(sequences), sequences) for way in (rollouts, apart))
    assert torch.equal(together.mask, alone.mask)
    assert torch.allclose(together.token, alone.token, atol=1e-4)


def test_the_loss_moves_the_adapter_and_nothing_else(rollouts, network):
    network.zero_grad()
    rollouts(network, 0, 0).per_pair.mean().backward()
    moved = {name for name, weights in network.named_parameters() if weights.grad is not None and weights.grad.any()}
    assert moved
    assert all("lora_" in name for name in moved)


def test_the_reference_is_the_model_without_its_adapter(rollouts, network):
    assert described(rollouts(network, 0, 0))["online/kl"] > 1e-4
    with network.disable_adapter(), torch.no_grad():
        assert float(rollouts(network, 0, 0).terms["kl"].abs().max()) < 1e-6


def test_groups_in_which_all_answers_earn_the_same_teach_nothing_and_are_counted(rollouts, network):
    sure = replace(rollouts, temperature=1e-3)
    network.zero_grad()
    loss = sure(network, 0, 0)
    loss.per_pair.mean().backward()
    assert described(loss)["online/left_out"] == 1.0
    assert not any(weights.grad.any() for weights in network.parameters() if weights.grad is not None)


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
    return TrainingPlan(
        "mbpo", "scenes:base", str(folder / "pairs"), folder / out, folder / "cache", recipe, settings, options=CPU
    )


@contextmanager
def stops_after_two_steps(what: str, total: int, done: int) -> Iterator[Any]:
    reached = done

    def advance(count: int) -> None:
        nonlocal reached
        reached += count
        if what == "training" and reached == 2:
            raise KeyboardInterrupt

    yield advance


@pytest.mark.slow
def test_training_with_rollouts_that_is_interrupted_ends_with_the_same_weights(tmp_path):
    small_training.write_pairs(tmp_path / "pairs", 2)
    whole, parted = plan(tmp_path, "whole"), plan(tmp_path, "parted")
    found = trainer.train(whole, silent)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(parted, stops_after_two_steps)
    trainer.train(parted, silent)
    first, second = (load_file(one.out / "adapter_model.safetensors") for one in (whole, parted))
    assert all(torch.equal(first[name], second[name]) for name in first)
    rows = log_rows(whole.out)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all("online/reward" in row and "online/left_out" in row for row in rows)
    assert found["identity"]["questions"]
    off = trainer.train(plan(tmp_path, "off", group_size=0), silent)
    assert "questions" not in off["identity"]
    assert not any("online/reward" in row for row in log_rows(tmp_path / "off"))
