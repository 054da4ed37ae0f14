"""The words of a text that a scorer counted, so that a page can mark them.

    spans("Two knives and a dining table.", {"knife": "hallucinated", "dining table": "correct"})
    -> [(4, 10, "hallucinated", "knife"), (17, 29, "correct", "dining table")]

Scorers keep base forms. A word of the text matches a base form if it, or its singular, equals it.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from halbench.types import Score

WORD = re.compile(r"\w+(?:[-']\w+)*")

Span = tuple[int, int, str, str]


def counted(score: Score) -> dict[str, str]:
    """Base form -> "hallucinated" or "correct", from the evidence of a description; {} for answers to questions."""
    if not isinstance(score.evidence.get("hallucinated"), list | tuple):
        return {}
    mentions = listed(score, "mentions" if "mentions" in score.evidence else "correct", "word")
    return {
        **{word.lower(): "correct" for word in mentions},
        **{word.lower(): "hallucinated" for word in listed(score, "hallucinated", "word")},
    }


def listed(score: Score, name: str, *fields: str) -> list[str]:
    """What a list of evidence names, as text or in the first of these fields that an entry has; see Score. [] for evidence
    of another shape: a suite of a user's own may mean something else by the name."""
    evidence = score.evidence.get(name)
    entries = evidence if isinstance(evidence, list | tuple) else ()
    named = (
        next((entry[field] for field in fields if field in entry), None) if isinstance(entry, Mapping) else entry
        for entry in entries
    )
    return [str(one) for one in named if isinstance(one, str | int)]


def spans(text: str, kinds: Mapping[str, str]) -> list[Span]:
    """(begin, end, kind, base form) of each match; where several base forms match, the longest counts."""
    tokens = [(match.start(), match.end(), forms(match.group().lower())) for match in WORD.finditer(text)]
    longest = max((len(base.split()) for base in kinds), default=0)
    bases = {tuple(base.split()): base for base in kinds}
    marked: list[Span] = []
    index = 0
    while index < len(tokens):
        for length in range(min(longest, len(tokens) - index), 0, -1):
            base = base_form(bases, [token[2] for token in tokens[index : index + length]])
            if base is not None:
                marked.append((tokens[index][0], tokens[index + length - 1][1], kinds[base], base))
                index += length - 1
                break
        index += 1
    return marked


def base_form(bases: Mapping[tuple[str, ...], str], tokens: Sequence[frozenset[str]]) -> str | None:
    """The base form that these tokens, each given in all its forms, spell out."""
    for words, base in bases.items():
        if len(words) == len(tokens) and all(part in token for part, token in zip(words, tokens, strict=True)):
            return base
    return None


@lru_cache(maxsize=65536)
def forms(token: str) -> frozenset[str]:
    """A word and its singular."""
    from textblob.en.inflect import singularize

    return frozenset((token, singularize(token)))
