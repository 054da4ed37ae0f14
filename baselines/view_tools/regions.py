"""Where the key objects of a pair's chosen answer are: in boxes that came with the data, else found by a grounding
model.

regions = key_regions(pair, image, language, LETTERS, grounder=None)
regions.hits     {"dog": (Region("dog", (12, 40, 96, 130)),)}      regions.missed  ("grass",)
regions.mask     bool [H, W], true inside the regions; everywhere if none was found
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from PIL import Image

from baselines.types import Pair, Region
from baselines.view_tools.keywords import WordSimilarity, keywords
from halbench.scoring_tools.language import Language


@dataclass(frozen=True)
class Grounded:
    """Where one object is: its boxes, and its pixels as mask [H, W], which may follow its outline."""

    regions: tuple[Region, ...]
    mask: np.ndarray


@dataclass(frozen=True)
class Grounder:
    """A model that finds named objects. identity: of its weights and thresholds. find(image, names) -> name -> where it
    is; names that it does not find are left out."""

    identity: str
    find: Callable[[Image.Image, Sequence[str]], Mapping[str, Grounded]]


@dataclass(frozen=True)
class KeyRegions:
    """What `key_regions` finds. source: "data", "grounder" or "none"."""

    hits: Mapping[str, tuple[Region, ...]]
    missed: tuple[str, ...]
    mask: np.ndarray
    source: str

    def notes(self) -> dict[str, Any]:
        """The notes of a variant made with these regions."""
        boxes = [[region.name, *region.box] for regions in self.hits.values() for region in regions]
        return {"keywords": [*self.hits, *self.missed], "hit": list(self.hits), "boxes": boxes, "regions": self.source}


def key_regions(
    pair: Pair, image: Image.Image, language: Language, similarity: WordSimilarity, grounder: Grounder | None
) -> KeyRegions:
    """Regions of the keywords of a pair's chosen answer. The grounder is used only if none of the data's boxes fits."""
    names = keywords(pair.chosen, language, similarity)
    hits: dict[str, Grounded] = {}
    source = "none"
    for name in names:
        boxes = tuple(region for region in pair.regions if same_object(name, region.name, language))
        if boxes:
            hits[name] = Grounded(boxes, box_mask(image.size, boxes))
            source = "data"
    if not hits and grounder:
        hits = dict(grounder.find(image, names))
        source = "grounder" if hits else "none"
    mask = np.any([hit.mask for hit in hits.values()], axis=0) if hits else np.ones(image.size[::-1], bool)
    missed = tuple(name for name in names if name not in hits)
    return KeyRegions({name: hit.regions for name, hit in hits.items()}, missed, mask, source)


def same_object(keyword: str, name: str, language: Language) -> bool:
    """Whether a keyword and a region's name mean the same: the same lemma, the last word of a longer name ("light" of a
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
