"""Budgets of thoughts and answers, token by token, and texts that keep the tags of thoughts."""

import pytest
from tiny_checkpoints import byte_level_bpe

from halbench.models.thought_budget import TokenBudget, text_of
from halbench.reasoning import TAGS


def tokenizer(*tags: str):
    return byte_level_bpe(["<pad>", "<s>", "</s>", *tags])


def used(text: str, opened: bool = False, thoughts: int = 6, answer: int = 4, special: bool = True) -> str | None:
    """What of a text fits into the budgets; None if the text ends before they are used up."""
    words = tokenizer(*(["<think>", "</think>"] if special else []))
    budget = TokenBudget(words, TAGS, opened, thoughts, answer)
    ids = words(text, add_special_tokens=False)["input_ids"]
    for count, token in enumerate(ids, 1):
        if budget.feed(token):
            return words.decode(ids[:count])
    return None


@pytest.mark.parametrize("special", [True, False], ids=["tags are special tokens", "tags are text"])
def test_the_answer_has_its_whole_budget_behind_a_thought(special):
    assert used("<think>zz</think>12345678", thoughts=20, special=special) == "<think>zz</think>1234"
    assert used("zz</think>12345678", opened=True, thoughts=20, special=special) == "zz</think>1234"


def test_a_thought_that_uses_up_its_budget_ends_the_answer():
    assert used("<think>zzzzzzzzz") == "<think>zzzzz"
    assert used("zzzzzzzzz", opened=True) == "zzzzzz"


def test_an_answer_without_a_thought_has_the_answers_budget_alone():
    assert used("zzzzzzzzz") == "zzzz"
    assert used("zzz") is None


def test_text_is_without_special_tokens_but_with_the_tags_of_thoughts():
    words = tokenizer("<think>", "</think>", "<box>")
    ids = words("<think>a dog</think><box>a cat</s>", add_special_tokens=False)["input_ids"]
    assert text_of(words, ids, TAGS) == "<think>a dog</think>a cat"
