"""Log-probs of answers: what is scored, and that answers which share a prefix get what each would get alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_checkpoints
import torch
from PIL import Image

from baselines import logprobs
from baselines.collation import Encoder, Example, collate, lay_out, places, stack_inputs
from baselines.logprobs import block_mask, by_view, head_tokens, scoring, token_logps
from baselines.types import Pair, Variant
from halbench.backends.hf import Checkpoint, open_checkpoint
from halbench.errors import InputError
from halbench.types import BackendOptions

FAMILIES = ("llava", "llava_next", "idefics3", "smolvlm", "qwen2_vl")
ANSWERS = {"chosen": "There are two people.", "rejected": "Is there a red car behind them, and a dog on the grass?"}


def open_tiny(family: str, folder: Path) -> Checkpoint:
    """One of the tiny checkpoints, opened as a user's would be; Qwen2-VL's cannot be saved here."""
    if family == "qwen2_vl":
        network, processor = tiny_checkpoints.qwen2_vl()
        return Checkpoint(network, processor, processor.chat_template, {})
    saved = getattr(tiny_checkpoints, family)(folder / family)
    return open_checkpoint(str(saved), BackendOptions(device="cpu", dtype="float32"))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkpoint]:
    folder, opened = tmp_path_factory.mktemp("checkpoints"), {}

    def get(family: str) -> Checkpoint:
        if family not in opened:
            opened[family] = open_tiny(family, folder)
        return replace(opened[family])

    return get


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """Three pairs whose images differ in shape, so that rows differ in crops, tokens and padding."""
    folder = tmp_path_factory.mktemp("images")
    found = []
    for number, size in enumerate([(64, 64), (90, 40), (30, 80)]):
        image = Image.effect_noise(size, 90).convert("RGB")
        image.paste((200, 40 * number, 30), (5, 5, 20, 20))
        image.save(folder / f"{number}.png")
        answer = " ".join([ANSWERS["chosen"]] * (number + 1))
        found.append(Pair(str(number), folder / f"{number}.png", "Describe this image.", answer, ANSWERS["rejected"]))
    return found


def variants(pair: Pair) -> dict[str, Variant]:
    flipped = Image.open(pair.image).convert("RGB").rotate(180)
    return {
        "chosen": Variant(pair.prompt, pair.chosen),
        "rejected": Variant(pair.prompt, pair.rejected),
        "flipped": Variant(pair.prompt, pair.chosen, flipped),
    }


def examples(checkpoint: Checkpoint, pairs: list[Pair], packed: bool) -> list[Example]:
    encoder = Encoder(checkpoint, packed)
    return [encoder.example(pair, variants(pair)) for pair in pairs]


def score(checkpoint: Checkpoint, made: list[Example], packed: bool) -> dict[str, torch.Tensor]:
    """View -> log-probs [B, T], by the function under test."""
    network = checkpoint.network
    plain = network.forward
    try:
        with torch.no_grad():
            tokens = scoring(network)(**collate([s for example in made for s in example.sequences], 0, packed))
    finally:
        network.forward = plain
    return {view: logps.token for view, logps in by_view(tokens.logp, places(made)).items()}


def plain_logps(network: Any, prompt: dict[str, torch.Tensor], answer: torch.Tensor) -> torch.Tensor:
    """Log-probs [T] of one answer from the model's own forward, one sequence alone, all logits."""
    start = prompt["input_ids"].shape[1]
    ids = torch.cat([prompt["input_ids"][0], answer])[None]
    with torch.no_grad():
        logits = network(
            input_ids=ids, attention_mask=torch.ones_like(ids), **stack_inputs([prompt], ids.shape[1])
        ).logits
    return logits[0, start - 1 : -1].log_softmax(-1).gather(-1, answer[:, None])[:, 0]


def test_the_documented_vector_of_masked_log_probs_comes_out():
    logits = torch.sin(1.7 * torch.arange(6.0, dtype=torch.float64)[:, None] + 0.9 * torch.arange(5.0))
    layout = lay_out([torch.tensor([3, 1, 4])], [[torch.tensor([0, 2, 4])]], pad_id=0)
    tokens = token_logps(logits[layout.predictors], layout.targets)
    assert tokens.logp.dtype == torch.float64
    assert tokens.logp.sum().item() == pytest.approx(-6.05289419, abs=1e-7)


def test_the_first_token_of_every_answer_is_predicted_by_the_end_of_the_prompt():
    layout = lay_out([torch.tensor([7, 8])], [[torch.tensor([1, 2, 3]), torch.tensor([4, 5])]], pad_id=0)
    assert layout.predictors.tolist() == [1, 2, 3, 1, 5]
    assert layout.targets.tolist() == [1, 2, 3, 4, 5]
    assert (torch.arange(7) - layout.shift[0]).tolist() == [0, 1, 2, 3, 4, 2, 3]


def test_an_answer_sees_the_prefix_and_itself_and_no_other_answer():
    layout = lay_out([torch.tensor([7, 8])], [[torch.tensor([1, 2]), torch.tensor([4])]], pad_id=0)
    assert block_mask(layout.branch)[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_answers_get_what_each_gets_alone(family, checkpoints, pairs):
    checkpoint = checkpoints(family)
    made = examples(checkpoint, pairs, packed=True)
    packed = score(checkpoint, made, packed=True)
    assert [len(example.sequences) for example in made] == [2, 2, 2], "chosen and rejected share a sequence"
    for row, example in enumerate(made):
        for sequence in example.sequences:
            for branch in sequence.branches:
                alone = plain_logps(checkpoint.network, dict(sequence.inputs), branch.ids)
                found = packed[branch.view][row, : len(branch.ids)]
                assert (found - alone).abs().max() < 1e-4, (example.id, branch.view)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_unpacked_path_gives_the_same_numbers(family, checkpoints, pairs):
    checkpoint = checkpoints(family)
    packed = score(checkpoint, examples(checkpoint, pairs, packed=True), packed=True)
    apart = score(checkpoint, examples(checkpoint, pairs, packed=False), packed=False)
    for view in packed:
        assert (packed[view] - apart[view]).abs().max() < 1e-4, view


def test_these_models_use_their_context(checkpoints, pairs):
    checkpoint = checkpoints("llava")
    scores = score(checkpoint, examples(checkpoint, pairs, packed=True), packed=True)
    assert (scores["chosen"] - scores["flipped"]).abs().max() > 0.1, "else a leaking mask would look right"


@pytest.mark.parametrize("family", ["llava", "qwen2_vl"])
def test_a_mask_that_leaks_shifts_the_second_answer_and_only_that(family, checkpoints, pairs, monkeypatch):
    checkpoint = checkpoints(family)
    made = examples(checkpoint, pairs, packed=True)
    right = score(checkpoint, made, packed=True)

    def leaking(branch: torch.Tensor) -> torch.Tensor:
        return torch.ones(branch.shape[1], branch.shape[1], dtype=torch.bool).tril().expand(len(branch), 1, -1, -1)

    monkeypatch.setattr(logprobs, "block_mask", leaking)
    wrong = score(checkpoint, made, packed=True)
    assert (right["chosen"] - wrong["chosen"]).abs().max() < 1e-4
    assert (right["rejected"] - wrong["rejected"]).abs().amax(-1).min() > 0.3


def test_positions_that_run_on_shift_the_second_answer(checkpoints, pairs, monkeypatch):
    checkpoint = checkpoints("llava")
    made = examples(checkpoint, pairs, packed=True)
    right = score(checkpoint, made, packed=True)
    monkeypatch.setattr(logprobs, "positions", lambda network, inputs, shift: torch.arange(shift.shape[1])[None])
    assert (right["rejected"] - score(checkpoint, made, packed=True)["rejected"]).abs().max() > 0.1


def test_eager_attention_takes_the_mask_too(checkpoints, pairs):
    checkpoint = checkpoints("llava")
    made = examples(checkpoint, pairs, packed=True)
    sdpa = score(checkpoint, made, packed=True)
    checkpoint.network.set_attn_implementation("eager")
    try:
        eager = score(checkpoint, made, packed=True)
    finally:
        checkpoint.network.set_attn_implementation("sdpa")
    assert (sdpa["rejected"] - eager["rejected"]).abs().max() < 1e-4


def test_chunks_of_the_head_change_neither_values_nor_gradients():
    head = torch.nn.Linear(8, 50).double()
    hidden, targets = torch.randn(33, 8).double().requires_grad_(), torch.randint(0, 50, (33,))
    whole = head_tokens(head, hidden, targets, chunk=100)
    expected = torch.autograd.grad(whole.logp.sum(), [hidden, head.weight])
    pieces = head_tokens(head, hidden, targets, chunk=4)
    found = torch.autograd.grad(pieces.logp.sum(), [hidden, head.weight])
    assert torch.allclose(pieces.logp, whole.logp)
    assert all(torch.allclose(one, other) for one, other in zip(found, expected, strict=True))


def test_entropy_of_an_even_distribution_is_the_log_of_its_size():
    assert token_logps(torch.zeros(1, 8), torch.tensor([3])).entropy.item() == pytest.approx(
        torch.log(torch.tensor(8.0))
    )


@pytest.mark.parametrize(
    ("family", "end"), [("llava", "</s>"), ("idefics3", "<end_of_utterance>"), ("qwen2_vl", "<|im_end|>")]
)
def test_an_answer_ends_with_what_ends_the_assistants_turn(family, end, checkpoints, pairs):
    checkpoint = checkpoints(family)
    tokenizer = checkpoint.processor.tokenizer
    (sequence, _) = examples(checkpoint, pairs[:1], packed=True)[0].sequences
    text = tokenizer.decode(sequence.branches[0].ids)
    assert text.strip() == ANSWERS["chosen"] + end
    assert tokenizer.decode(sequence.branches[0].ids[-1:]) == end


def test_a_prompt_with_the_models_image_token_is_refused(checkpoints, pairs):
    encoder = Encoder(checkpoints("llava"), packed=True)
    with pytest.raises(InputError, match="pair 0: its text contains the model's image token"):
        encoder.example(pairs[0], {"chosen": Variant("What is <image>?", "A dog.")})


def test_a_view_that_asks_something_else_has_a_sequence_of_its_own(checkpoints, pairs):
    encoder = Encoder(checkpoints("llava"), packed=True)
    made = {"chosen": Variant("Describe this image.", "A dog."), "asked": Variant("Is there a dog?", "Yes.")}
    example = encoder.example(pairs[0], made)
    assert [[branch.view for branch in sequence.branches] for sequence in example.sequences] == [["chosen"], ["asked"]]
    assert len(set(example.keys().values())) == 2


def test_attention_without_block_masks_is_refused(checkpoints):
    network = checkpoints("llava").network
    kind = network.config.get_text_config()._attn_implementation
    network.config.get_text_config()._attn_implementation = "flash_attention_2"
    try:
        with pytest.raises(InputError, match="takes no block mask"):
            logprobs.attention_mask(network, torch.zeros(1, 3, dtype=torch.long))
    finally:
        network.config.get_text_config()._attn_implementation = kind
