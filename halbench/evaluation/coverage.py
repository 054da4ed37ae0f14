"""Coverage: how many of the items have a score, and why the others have none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from halbench.responses.matching import duplicates
from halbench.types import Item, Response, Score

TOLERATED = 0.01
"""Share of items without a score up to which a run counts as complete."""


@dataclass(frozen=True)
class Coverage:
    """How many of the items have a score, and why the others have none. share: scored / items.

    empty: responses without text, which are scored as in the official scripts. reasons: the most frequent errors.
    duplicates: ids with several responses; each is scored, as in the official scripts, but the run is not complete.
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

    @property
    def complete(self) -> bool:
        return not self.duplicates and self.scored >= (1 - TOLERATED) * self.items

    def complaint(self) -> str:
        """One line on what is missing; empty if nothing is."""
        parts = [
            f"{number} {what}"
            for number, what in (
                (self.missing, "without a response"),
                (self.errors, "failed in generation"),
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
        return line


def coverage(items: Sequence[Item], scores: Sequence[Score], responses: Sequence[Response]) -> Coverage:
    """How many of the items are scored. scores: of these items."""
    scored = len({score.item for score in scores if score.state == "scored"})
    states = [score.state for score in scores]
    ids = {item.id for item in items}
    reasons = Counter(score.error for score in scores if score.state in ("error", "unscored") and score.error)
    return Coverage(
        items=len(items),
        scored=scored,
        empty=sum(response.state == "empty" and response.item in ids for response in responses),
        missing=states.count("missing"),
        errors=states.count("error"),
        unscored=states.count("unscored"),
        reasons=tuple(reason for reason, _ in reasons.most_common(3)),
        duplicates=tuple(duplicates([score.item for score in scores])),
        share=scored / len(items) if items else 0.0,
    )
