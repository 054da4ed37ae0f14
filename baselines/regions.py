"""Where the key objects of a pair's chosen answer are: boxes that came with the data, else a grounding model, else nowhere.

found = key_regions(pair, language, LETTERS, grounder=None)
found.hits     {"dog": (Region("dog", (12, 40, 96, 130)),)}      found.missed  ("grass",)
found.mask     bool [H, W], true inside the regions; everywhere where nothing was found
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from PIL import Image

from baselines.keywords import WordSimilarity, keywords
from baselines.types import Pair, Region
from halbench.language import Language


@dataclass(frozen=True)
class Grounded:
    """Where one thing is: its boxes, and their pixels as mask [H, W], which may follow its outline."""

    regions: tuple[Region, ...]
    mask: np.ndarray


@dataclass(frozen=True)
class Grounder:
    """A model that finds named things. identity: which weights and thresholds. find(image, names) -> name -> where it is;
    names that it does not find are left out."""

    identity: str
    find: Callable[[Image.Image, Sequence[str]], Mapping[str, Grounded]]


@dataclass(frozen=True)
class KeyRegions:
    """See the module. source: "data", "grounder" or "none"."""

    hits: Mapping[str, tuple[Region, ...]]
    missed: tuple[str, ...]
    mask: np.ndarray
    source: str

    def notes(self) -> dict[str, Any]:
        """What a variant made with it says of itself."""
        boxes = [[region.name, *region.box] for regions in self.hits.values() for region in regions]
        return {"keywords": [*self.hits, *self.missed], "hit": list(self.hits), "boxes": boxes, "regions": self.source}


def key_regions(
    pair: Pair, image: Image.Image, language: Language, similarity: WordSimilarity, grounder: Grounder | None
) -> KeyRegions:
    """Regions of the keywords of a pair's chosen answer. The data's boxes go first; the grounder is asked when none fits."""
    names = keywords(pair.chosen, language, similarity)
    hits: dict[str, Grounded] = {}
    source = "none"
    for name in names:
        fitting = tuple(region for region in pair.regions if names_the_same(name, region.name, language))
        if fitting:
            hits[name] = Grounded(fitting, box_mask(image.size, fitting))
            source = "data"
    if not hits and grounder:
        hits = dict(grounder.find(image, names))
        source = "grounder" if hits else "none"
    mask = np.any([found.mask for found in hits.values()], axis=0) if hits else np.ones(image.size[::-1], bool)
    missed = tuple(name for name in names if name not in hits)
    return KeyRegions({name: found.regions for name, found in hits.items()}, missed, mask, source)


def names_the_same(keyword: str, name: str, language: Language) -> bool:
    """Whether a keyword means what a region is called: the same lemma, the last word of a longer name ("light" of a
    "traffic light"), or a synonym: a word that has the name's most frequent WordNet sense among its own."""
    lemma = language.lemma(name.lower())
    if keyword in (lemma, language.lemma(name.lower().split()[-1])):
        return True
    senses = language.senses(lemma)
    return bool(senses) and senses[0] in language.senses(keyword)


def box_mask(size: tuple[int, int], regions: Iterable[Region]) -> np.ndarray:
    """[H, W] bool, true in every pixel that a box touches."""
    mask = np.zeros(size[::-1], bool)
    for region in regions:
        left, top, right, bottom = region.box
        mask[floor(top) : ceil(bottom), floor(left) : ceil(right)] = True
    return mask
