"""Thoughts that a model writes before its answer: where they end, and what the answer is.

    split("<think>A dog? No, a cat.</think>\\n\\nA cat.", TAGS) -> Split(answer="A cat.", thoughts="A dog? No, a cat.", finished=True)

Thoughts stand at the start of a text. The tag that opens them may be missing, because many chat templates write it into the
prompt; a text in which they do not end has no answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from halbench.errors import InputError
from halbench.settings import option

Tags = Sequence[tuple[str, str]]

TAGS: Tags = (
    ("<think>", "</think>"),  # Qwen3, GLM-4.1V, InternVL3.5, DeepSeek-R1 and many others
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<|channel>thought", "<channel|>"),  # Gemma 4
)
WRAPPERS: Tags = (("<answer>", "</answer>"), ("<|begin_of_box|>", "<|end_of_box|>"))
"""What some of these models put around the answer behind their thoughts."""


@dataclass(frozen=True)
class Reasoning:
    """How thoughts are treated. reasoning_tags: "OPEN,CLOSE" pairs instead of TAGS. max_reasoning_tokens: budget of thoughts
    beside that of the answer; None for one budget, the answer's, for both."""

    reasoning: Literal["split", "keep"] = option(
        "split",
        "What to do with thoughts before an answer: split scores the answer and keeps the thoughts beside it, keep scores the "
        "text as it is; recorded in the signature.",
    )
    reasoning_tags: tuple[str, ...] = option(
        (),
        "Tags around thoughts, such as '<think>,</think>'. May be repeated; recorded in the signature.",
        metavar="OPEN,CLOSE",
        otherwise="those of known models",
    )
    max_reasoning_tokens: int | None = option(
        None,
        "Tokens for thoughts, beside the suite's tokens for the answer; recorded in the signature.",
        minimum=1,
        metavar="N",
        otherwise="thoughts count as part of the answer",
    )

    def tags(self) -> Tags:
        """The pairs of tags. Raises InputError for one that is not "OPEN,CLOSE"."""
        if not self.reasoning_tags:
            return TAGS
        pairs = [tuple(part.strip() for part in text.split(",")) for text in self.reasoning_tags]
        for text, pair in zip(self.reasoning_tags, pairs, strict=True):
            if len(pair) != 2 or not all(pair):
                raise InputError(f"--reasoning-tags {text!r}: expected two tags such as '<think>,</think>'")
        return [(first, second) for first, second in pairs]

    def identity(self) -> dict[str, str]:
        """What differs from the default in how texts are read, for the signature."""
        if self.reasoning == "keep":
            return {"reasoning": "keep"}
        return {"reasoning": f"split at {' '.join(self.reasoning_tags)}"} if self.reasoning_tags else {}


SPLIT = Reasoning()


@dataclass(frozen=True)
class Split:
    """A text in two. finished: whether the thoughts end; if not, there is no answer."""

    answer: str
    thoughts: str
    finished: bool


def split(text: str, tags: Tags = TAGS) -> Split | None:
    """The thoughts at the start of a text and the answer behind them; None for a text without thoughts."""
    thoughts, rest = [], text.lstrip()
    closing = next((pair for pair in tags if pair[1] in rest and pair[0] not in rest.partition(pair[1])[0]), None)
    if closing is not None and not any(rest.startswith(first) for first, _ in tags):
        before, _, rest = rest.partition(closing[1])  # the prompt has the opening tag
        thoughts.append(before)
    while (pair := next((pair for pair in tags if rest.lstrip().startswith(pair[0])), None)) is not None:
        inside, closed, rest = rest.lstrip().removeprefix(pair[0]).partition(pair[1])
        thoughts.append(inside)
        if not closed:
            return Split("", joined(thoughts), finished=False)
    # Line breaks belong to the tag; other white space is the answer's own, which an official script may read.
    return Split(unwrapped(rest.lstrip("\r\n")), joined(thoughts), finished=True) if thoughts else None


def joined(thoughts: Sequence[str]) -> str:
    """Several thoughts as one text."""
    return "\n\n".join(part for thought in thoughts if (part := thought.strip()))


def unwrapped(answer: str) -> str:
    """An answer without the tags around the whole of it. One that was cut off lacks the last."""
    bare = answer.strip()
    for first, last in WRAPPERS:
        if bare.startswith(first) and last not in bare.removesuffix(last):
            return bare.removeprefix(first).removesuffix(last).strip()
    return answer


def answer_part(text: str, tags: Tags = TAGS) -> str:
    """A text without its thoughts; "" if they do not end."""
    parts = split(text, tags)
    return text if parts is None else parts.answer


def opened_in(prompt: str, tags: Tags) -> str:
    """The opening tag with which a prompt ends; "" if it ends with none."""
    return next((first for first, _ in tags if prompt.rstrip().endswith(first)), "")
