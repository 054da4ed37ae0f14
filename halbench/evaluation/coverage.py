"""Coverage: how many of the items have a score, and why the others have none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from halbench.evaluation.choice import Unwanted
from halbench.responses.failure_text import is_blank, is_refusal
from halbench.responses.matching import duplicates
from halbench.types import Item, Response, Score

TOLERATED = 0.01
"""Share of items without a score, and of answers that are empty or cut off, up to which a run counts as complete; one item
of any number is tolerated too, so that a single refused verdict of MMHal's 96 does not make a run incomplete."""


@dataclass(frozen=True)
class Coverage:
    """How many of the items have a score, and why the others have none. share: scored / items.

    reasons: the most frequent errors. duplicates: ids with several responses; each is scored, as in the official scripts, but
    the run is not complete. empty: answers without text; cut: answers that ended at the token limit, but for those to
    questions that could be read. Both are scored, as in the official scripts, but a model that says nothing or half of it
    hallucinates less, so with more than TOLERATED of them a run is not complete, unless they are in `allowed`.
    refused: answers that decline to answer, a number to read. unfinished: responses that were still reasoning when they
    ended, without an answer and so without a score.
    """

    items: int
    scored: int
    empty: int
    missing: int
    errors: int
    unscored: int
    reasons: tuple[str, ...]
    duplicates: tuple[str, ...]
    share: float
    cut: int = 0
    refused: int = 0
    unfinished: int = 0
    allowed: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.duplicates and self.items - self.scored <= self.tolerated() and not self.too_many()

    def tolerated(self) -> float:
        """Number of items that may lack a score, or have an empty or cut answer: never all of them."""
        return min(max(1, TOLERATED * self.items), self.items - 1)

    def too_many(self) -> list[str]:
        """The kinds of answers of which there are too many: "empty", "cut"."""
        return [
            kind for kind in get_args(Unwanted) if kind not in self.allowed and getattr(self, kind) > self.tolerated()
        ]

    def mark(self) -> str:
        """What stands beside the run's name: "95/96 scored"; for an incomplete run also what is wrong with it; "" for one
        without fault."""
        parts = [f"{self.scored}/{self.items} scored"] if self.scored < self.items else []
        if not self.complete:
            repeated = [f"{len(self.duplicates)} with duplicates"] if self.duplicates else []
            parts = ["incomplete", *parts, *repeated, *(f"{getattr(self, kind)} {kind}" for kind in self.too_many())]
        return ", ".join(parts)

    def unwanted(self) -> str:
        """How many answers are empty, cut off, refusals or only thoughts: "3 empty, 1 refusals", or "none"."""
        counts = {"empty": self.empty, "cut off at the token limit": self.cut, "refusals": self.refused}
        counts["still reasoning"] = self.unfinished
        return ", ".join(f"{number} {kind}" for kind, number in counts.items() if number) or "none"

    def complaint(self) -> str:
        """One line on what is missing; empty if nothing is."""
        parts = [
            f"{number} {what}"
            for number, what in (
                (self.missing, "without a response"),
                (self.errors, "failed in generation"),
                (self.unfinished, "still reasoning"),
                (self.unscored, "not scorable"),
            )
            if number
        ]
        line = f"{self.scored} of {self.items} items scored ({', '.join(parts)})" if parts else ""
        if self.reasons:
            examples = ", ".join(f'"{reason}"' for reason in self.reasons[:2])
            line += f"; e.g. {examples}"
        if self.duplicates:
            shown = ", ".join(self.duplicates[:5]) + (", ..." if len(self.duplicates) > 5 else "")
            count = f"{len(self.duplicates)} duplicate id{'s' if len(self.duplicates) > 1 else ''}"
            line += f"{'; ' if line else ''}{count} (all rows scored): {shown}"
        if self.empty or self.cut or self.refused:
            line += f"{'; ' if line else ''}answers: {self.unwanted()}"
        if too_many := self.too_many():
            line += f" (more than 1 %; if the model really answers so: --allow {','.join(too_many)})"
        return line


def coverage(
    items: Sequence[Item], scores: Sequence[Score], responses: Sequence[Response], allowed: Sequence[str] = ()
) -> Coverage:
    """How many of the items are scored. scores: of these items. allowed: see Coverage."""
    scored = len({score.item for score in scores if score.state == "scored"})
    states = [score.state for score in scores]
    ids = {item.id for item in items}
    answers = [
        response for response in responses if response.item in ids and response.state not in ("error", "unfinished")
    ]
    read = {score.item for score in scores if score.evidence.get("answer") is not None}
    reasons = Counter(
        score.error for score in scores if score.state in ("error", "unscored", "unfinished") and score.error
    )
    return Coverage(
        items=len(items),
        scored=scored,
        empty=sum(is_blank(answer.text) for answer in answers),
        cut=sum(answer.finish == "length" and answer.item not in read for answer in answers),
        unfinished=states.count("unfinished"),
        refused=sum(is_refusal(answer.text) for answer in answers),
        allowed=tuple(allowed),
        missing=states.count("missing"),
        errors=states.count("error"),
        unscored=states.count("unscored"),
        reasons=tuple(reason for reason, _ in reasons.most_common(3)),
        duplicates=tuple(duplicates([score.item for score in scores])),
        share=scored / len(items) if items else 0.0,
    )
