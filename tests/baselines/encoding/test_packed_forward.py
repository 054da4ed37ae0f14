"""Log-probs of answers: what is scored, and that answers which share a prefix get what each would get alone."""

import json
from dataclasses import replace

import pytest
import torch
from families import FAMILIES as FAMILY_FOLDERS
from packed_examples import FAMILIES, examples, plain_logps, score, shaped_pairs

from baselines.encoding import packed_attention, packed_forward
from baselines.encoding.packed_forward import as_scoring_model, head_tokens, token_logps
from halbench.models.checkpoints import open_checkpoint
from halbench.types import BackendOptions


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_answers_get_what_each_gets_alone(family, checkpoints, pairs):
    checkpoint = checkpoints(family)
    batch = examples(checkpoint, pairs, packed=True)
    packed = score(checkpoint, batch, packed=True)
    assert [len(example.sequences) for example in batch] == [2, 2, 2], "chosen and rejected share a sequence"
    for row, example in enumerate(batch):
        for sequence in example.sequences:
            for branch in sequence.branches:
                alone = plain_logps(checkpoint.model, dict(sequence.inputs), branch.ids)
                together = packed[branch.view][row, : len(branch.ids)]
                assert (together - alone).abs().max() < 1e-4, (example.id, branch.view)


@pytest.mark.parametrize("images", [0, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_text_only_and_several_images_are_packed_as_well(family, images, checkpoints, tmp_path):
    checkpoint = checkpoints(family)
    batch = examples(checkpoint, shaped_pairs(tmp_path, images), packed=True)
    assert {bool(sequence.images) for example in batch for sequence in example.sequences} == {images > 0}
    packed = score(checkpoint, batch, packed=True)
    for row, example in enumerate(batch):
        for sequence in example.sequences:
            for branch in sequence.branches:
                alone = plain_logps(checkpoint.model, dict(sequence.inputs), branch.ids)
                together = packed[branch.view][row, : len(branch.ids)]
                assert (together - alone).abs().max() < 1e-4, (example.id, branch.view)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_image_and_their_order_matter(family, checkpoints, tmp_path):
    checkpoint = checkpoints(family)
    pairs = shaped_pairs(tmp_path, 2)[:1]
    swapped = [replace(pairs[0], images=pairs[0].images[::-1])]
    first_only = [replace(pairs[0], images=pairs[0].images[:1])]
    scores = [
        score(checkpoint, examples(checkpoint, some, packed=True), packed=True)["chosen"]
        for some in (pairs, swapped, first_only)
    ]
    assert (scores[0] - scores[1]).abs().max() > 1e-3
    assert (scores[0] - scores[2]).abs().max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_the_unpacked_path_gives_the_same_numbers(family, checkpoints, pairs):
    checkpoint = checkpoints(family)
    packed = score(checkpoint, examples(checkpoint, pairs, packed=True), packed=True)
    unpacked = score(checkpoint, examples(checkpoint, pairs, packed=False), packed=False)
    for view in packed:
        assert (packed[view] - unpacked[view]).abs().max() < 1e-4, view


def test_these_models_use_their_context(checkpoints, pairs):
    checkpoint = checkpoints("llava")
    scores = score(checkpoint, examples(checkpoint, pairs, packed=True), packed=True)
    assert (scores["chosen"] - scores["flipped"]).abs().max() > 0.1, "else a leaking mask would look right"


@pytest.mark.parametrize("family", ["llava", "qwen2_vl"])
def test_a_mask_that_leaks_shifts_the_second_answer_and_only_that(family, checkpoints, pairs, monkeypatch):
    checkpoint = checkpoints(family)
    batch = examples(checkpoint, pairs, packed=True)
    right = score(checkpoint, batch, packed=True)

    monkeypatch.setattr(packed_attention, "in_branches", lambda mask_function, branch, shift: mask_function)
    wrong = score(checkpoint, batch, packed=True)
    assert (right["chosen"] - wrong["chosen"]).abs().max() < 1e-4
    assert (right["rejected"] - wrong["rejected"]).abs().amax(-1).min() > 0.3


def test_positions_that_run_on_shift_the_second_answer(checkpoints, pairs, monkeypatch):
    checkpoint = checkpoints("llava")
    batch = examples(checkpoint, pairs, packed=True)
    right = score(checkpoint, batch, packed=True)
    monkeypatch.setattr(packed_forward, "positions", lambda model, inputs, shift: torch.arange(shift.shape[1])[None])
    assert (right["rejected"] - score(checkpoint, batch, packed=True)["rejected"]).abs().max() > 0.1


def test_chunks_of_the_head_change_neither_values_nor_gradients():
    head = torch.nn.Linear(8, 50).double()
    hidden, targets = torch.randn(33, 8).double().requires_grad_(), torch.randint(0, 50, (33,))
    whole = head_tokens(head, hidden, targets, chunk=100)
    expected = torch.autograd.grad(whole.logp.sum(), [hidden, head.weight])
    pieces = head_tokens(head, hidden, targets, chunk=4)
    gradients = torch.autograd.grad(pieces.logp.sum(), [hidden, head.weight])
    assert torch.allclose(pieces.logp, whole.logp)
    assert all(torch.allclose(one, other) for one, other in zip(gradients, expected, strict=True))


def test_entropy_of_an_even_distribution_is_the_log_of_its_size():
    assert token_logps(torch.zeros(1, 8), torch.tensor([3])).entropy.item() == pytest.approx(
        torch.log(torch.tensor(8.0))
    )


def test_a_scoring_model_still_generates(checkpoints):
    """MBPO's views and rollouts sample from the model that is being trained."""
    checkpoint = checkpoints("llava")
    ids = torch.tensor([[5, 6, 7]])
    plain = checkpoint.model.generate(input_ids=ids, max_new_tokens=5)
    own = checkpoint.model.forward
    try:
        assert as_scoring_model(checkpoint.model).generate(input_ids=ids, max_new_tokens=5).equal(plain)
    finally:
        checkpoint.model.forward = own


def test_sliding_windows_and_image_tokens_that_see_each_other_are_packed_as_well(tmp_path, pairs):
    """Gemma 3, whose window of 16 tokens is shorter than the answers."""
    folder = FAMILY_FOLDERS["gemma3"](tmp_path / "gemma3", 0)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["sliding_window"] = 16
    (folder / "config.json").write_text(json.dumps(config))
    checkpoint = open_checkpoint(str(folder), BackendOptions(device="cpu", dtype="float32"))
    batch = examples(checkpoint, pairs, packed=True)
    packed = score(checkpoint, batch, packed=True)
    unpacked = score(checkpoint, examples(checkpoint, pairs, packed=False), packed=False)
    for view in packed:
        assert (packed[view] - unpacked[view]).abs().max() < 1e-4, view
