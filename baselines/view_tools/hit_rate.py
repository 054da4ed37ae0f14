"""How often a view found the key objects that it altered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HitRate:
    """keywords, hit: words, and those that were found. pairs, whole: pairs, and those whose whole image was noised
    because no key object was found."""

    keywords: int
    hit: int
    pairs: int
    whole: int

    def __str__(self) -> str:
        share = f" ({self.hit / self.keywords:.0%})" if self.keywords else ""
        return (
            f"{self.hit} of {self.keywords} keywords found{share}; {self.whole} of {self.pairs} images noised all over"
        )


def hit_rate(notes: Iterable[Mapping[str, Any]]) -> HitRate | None:
    """The hit rate over the notes of variants that list keywords; None if none does."""
    listed = [note for note in notes if "keywords" in note]
    if not listed:
        return None
    return HitRate(
        sum(len(note["keywords"]) for note in listed),
        sum(len(note["hit"]) for note in listed),
        len(listed),
        sum(not note["hit"] for note in listed),
    )
