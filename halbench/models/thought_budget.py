"""Tokens of an answer as they come: as text that keeps the tags around thoughts, and within budgets for thoughts and answer."""

from collections.abc import Sequence
from typing import Any

from halbench.reasoning import Tags

TAIL = 16  # tokens in which a tag is looked for: enough for every way to write one


def text_of(tokenizer: Any, ids: Sequence[int], tags: Tags) -> str:
    """Tokens as text without special tokens, but with tags of thoughts, which are special tokens in some models."""
    kept = special_tags(tokenizer, tags)
    pieces, start = [], 0
    for index, token in enumerate([*ids, None]):
        if token is None or token in kept:
            pieces.append(decoded(tokenizer, ids[start:index], special=False))
            pieces += [] if token is None else [decoded(tokenizer, [token], special=True)]
            start = index + 1
    return "".join(pieces).strip()


def special_tags(tokenizer: Any, tags: Tags) -> set[int]:
    """The tags that are special tokens, which are otherwise left out of texts."""
    wanted = {tag for pair in tags for tag in pair}
    return {id for id, token in tokenizer.added_tokens_decoder.items() if token.special and str(token) in wanted}


def decoded(tokenizer: Any, ids: Sequence[int], special: bool) -> str:
    """Tokens as text. special: with special tokens."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=not special, clean_up_tokenization_spaces=False))


class TokenBudget:
    """Says of one answer, token by token, when it has used its budget.

    opened: whether the prompt opened a thought. thoughts, answer: numbers of tokens. An answer that begins without a
    thought has the answer's budget alone.
    """

    def __init__(self, tokenizer: Any, tags: Tags, opened: bool, thoughts: int, answer: int) -> None:
        self.tokenizer, self.tags, self.thoughts, self.answer = tokenizer, tags, thoughts, answer
        self.ids: list[int] = []
        self.thinking: bool | None = True if opened else None  # None until the first tokens tell
        self.begun = 0  # tokens before the answer

    def feed(self, token: int) -> bool:
        """Take the next token; returns whether it is the last that the budget allows."""
        self.ids.append(token)
        if self.thinking is None:
            start = decoded(self.tokenizer, self.ids, special=True).lstrip()
            if any(start.startswith(first) for first, _ in self.tags):
                self.thinking = True
            elif not any(first.startswith(start) for first, _ in self.tags):
                self.thinking = False
        elif self.thinking and any(
            last in decoded(self.tokenizer, self.ids[-TAIL:], special=True) for _, last in self.tags
        ):
            self.thinking, self.begun = False, len(self.ids)
        if self.thinking is None:
            return False
        if self.thinking:
            return len(self.ids) >= self.thoughts
        return len(self.ids) - self.begun >= self.answer
