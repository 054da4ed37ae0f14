"""Questions on one image share its forward pass where, and only where, their answers stay the same."""

import pytest
import torch
from families import FAMILIES
from tiny_backends import DECODING, answers

from halbench.backends import hf
from halbench.models import shared_prefix
from halbench.models.shared_prefix import attention_window, can_share
from halbench.types import BackendOptions, Item


def opened(folder, batch_size: int = 12):
    return hf.open_backend(str(folder), BackendOptions(device="cpu", dtype="float32", batch_size=batch_size))


@pytest.fixture(scope="module")
def gemma3(tmp_path_factory):
    return FAMILIES["gemma3"](tmp_path_factory.mktemp("gemma3") / "gemma3", 0)


def test_a_window_shorter_than_the_prompts_leaves_them_whole(gemma3, items):
    """Padding between prefix and question would move what such a layer sees."""
    wide, narrow = opened(gemma3), opened(gemma3)
    assert attention_window(wide.model) == 512
    narrow.window = 16
    assert answers(narrow, items) == answers(wide, items)
    assert (wide.shares, narrow.shares) == (True, None)


def test_a_wrong_shared_prefix_is_found_and_not_used(checkpoints, items, monkeypatch, caplog):
    whole = answers(opened(checkpoints / "llava", 1), items)
    right = shared_prefix.branch

    def shifted(model, prefixes, suffixes):
        arguments = right(model, prefixes, suffixes)
        rows = torch.arange(len(arguments["input_ids"])).flip(0)  # each question behind another one's image
        arguments[shared_prefix.CACHE].batch_select_indices(rows)
        return arguments

    monkeypatch.setattr(hf, "branch", shifted)
    backend = opened(checkpoints / "llava")
    assert answers(backend, items) == whole
    assert backend.shares is False
    assert "do not share its forward pass with this model: log-probs differ by" in caplog.text


def test_a_model_that_cannot_branch_answers_whole_prompts_and_it_is_said_why(tmp_path, items, caplog):
    backend = opened(FAMILIES["qwen3_5"](tmp_path / "qwen3_5", 0))
    answers(backend, items, DECODING)
    assert backend.shares is False
    assert "do not share its forward pass with this model" in caplog.text


def test_questions_that_begin_with_different_white_space_are_not_shared(checkpoints, images):
    """A processor may join it to text of its own behind the image."""
    processor = opened(checkpoints / "llava").processor
    items = [Item(str(n), (images[0],), "?", None, "all") for n in range(2)]
    assert can_share(processor, items, ["USER: <image>\nWhat?", "USER: <image>\nWho?"])
    assert not can_share(processor, items, ["USER: <image>\nWhat?", "USER: <image>\n\nWho?"])
    assert not can_share(processor, items, ["USER: <image>What?", "HUMAN: <image>Who?"])
    assert not can_share(processor, items[:1], ["USER: <image>What?"])


def test_tokens_that_differ_are_told_before_any_forward_pass():
    one = {"input_ids": torch.tensor([[0, 5, 6]]), "attention_mask": torch.tensor([[0, 1, 1]])}
    other = {"input_ids": torch.tensor([[5, 0, 7]]), "attention_mask": torch.tensor([[1, 0, 1]])}
    assert shared_prefix.disagreement(None, one, other) == "the tokens of a prompt differ"


def test_the_config_names_what_limits_attention(tmp_path):
    class Text:
        def __init__(self, **values):
            vars(self).update(values)

        def get_text_config(self):
            return self

    def window(**values):
        return attention_window(type("Model", (), {"config": Text(**values)}))

    assert window(sliding_window=4096) == 4096
    assert window(sliding_window=4096, layer_types=["full_attention"]) is None
    assert (
        window(sliding_window=512, attention_chunk_size=128, layer_types=["chunked_attention", "sliding_attention"])
        == 128
    )
    assert window(sliding_window=None) is None
    assert window() is None
