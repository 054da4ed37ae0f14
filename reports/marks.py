"""Where in a text the words stand that a scorer counted, so that a reader sees them marked.

    spans("Two knives and a dining table.", {"knife": "hallucinated", "dining table": "correct"})
    -> [(4, 10, "hallucinated", "knife"), (17, 29, "correct", "dining table")]

Scorers keep base forms. A word of the text is taken for one when it equals it or its singular does.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from halbench.types import Score

WORD = re.compile(r"\w+(?:[-']\w+)*")

Span = tuple[int, int, str, str]


def counted(score: Score) -> dict[str, str]:
    """Base form -> "hallucinated" or "correct", from the evidence of a description; {} for answers to questions."""
    evidence = score.evidence
    if "hallucinated" not in evidence:
        return {}
    right = (word(one) for one in evidence.get("mentions", evidence.get("correct", ())))
    return dict.fromkeys(right, "correct") | {word(one): "hallucinated" for one in evidence["hallucinated"]}


def word(mention: object) -> str:
    return str(mention["word"] if isinstance(mention, Mapping) else mention).lower()


def spans(text: str, kinds: Mapping[str, str]) -> list[Span]:
    """(begin, end, kind, base form) of every place, the longest base form first."""
    tokens = [(found.start(), found.end(), forms(found.group().lower())) for found in WORD.finditer(text)]
    longest = max((len(base.split()) for base in kinds), default=0)
    bases = {tuple(base.split()): base for base in kinds}
    found: list[Span] = []
    place = 0
    while place < len(tokens):
        for length in range(min(longest, len(tokens) - place), 0, -1):
            base = match(bases, [token[2] for token in tokens[place : place + length]])
            if base is not None:
                found.append((tokens[place][0], tokens[place + length - 1][1], kinds[base], base))
                place += length - 1
                break
        place += 1
    return found


def match(bases: Mapping[tuple[str, ...], str], said: list[frozenset[str]]) -> str | None:
    """The base form whose words these are."""
    for words, base in bases.items():
        if len(words) == len(said) and all(one in own for one, own in zip(words, said, strict=True)):
            return base
    return None


@lru_cache(maxsize=65536)
def forms(token: str) -> frozenset[str]:
    """A word, and its singular."""
    from textblob.en.inflect import singularize

    return frozenset((token, singularize(token)))
