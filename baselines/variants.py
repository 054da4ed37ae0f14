"""From pairs to variants: opens views, gives them what they need, keeps the costly ones on disk, and hashes what they made.

    tools = open_tools(["chosen", "region_noised"], pairs, data)
    variant = make_variant("region_noised", pair, seed=0, tools=tools)     # the same on every machine and in any order
    view_hash("region_noised", pairs, seed=0, tools=tools)                 # proof that two runs saw the same

A view is a module of baselines.views (or a path to one), see there.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from baselines.keywords import LETTERS, WordSimilarity
from baselines.keywords import word_vectors as open_word_vectors
from baselines.noise import CLIP_336, ModelPixels
from baselines.preferences import open_image, pair_digest
from baselines.regions import Grounder
from baselines.types import Pair, Variant
from halbench import plugins
from halbench.datasets import Data
from halbench.errors import InputError
from halbench.language import Language, open_language
from halbench.records import content_hash, file_hash

if TYPE_CHECKING:
    from baselines.adversary import ReferenceModel

VIEWS = "baselines.views"
MISSING = {
    "pairs": "the whole preference set",
    "language": "NLTK's resources; get them with: halbench data fetch nltk_data",
    "reference": "a model; give --model",
}


@dataclass(frozen=True)
class Tools:
    """What views may need beside the pair. A view names in NEEDS those without which it cannot work.

    pairs: the whole preference set. pixels: of the model that will see the variants. similarity: of words, for keywords.
    grounder: finds the regions of keywords in images without boxes. reference: the model that is attacked and sampled.
    cache: folder for variants that took a model to make.
    """

    pairs: Sequence[Pair] = ()
    language: Language | None = None
    pixels: ModelPixels = CLIP_336
    similarity: WordSimilarity = LETTERS
    grounder: Grounder | None = None
    reference: "ReferenceModel | None" = None
    cache: Path | None = None

    @cached_property
    def pairs_hash(self) -> str:
        """Which pairs there are, for views that draw on all of them."""
        return content_hash([[pair.id, pair.prompt, pair.chosen, pair.image.name] for pair in self.pairs])

    def identity(self) -> dict[str, Any]:
        """What can change a variant beside its pair, its view and the seed."""
        return {
            "pixels": self.pixels,
            "similarity": self.similarity.name,
            "language": self.language.identity() if self.language else None,
            "grounder": self.grounder.identity if self.grounder else None,
            "reference": self.reference.identity if self.reference else None,
        }


def open_tools(views: Iterable[str], pairs: Sequence[Pair], data: Data, tools: Tools | None = None) -> Tools:
    """The tools that these views need, as far as they need no model; `tools` brings the others."""
    needed = {need for view in views for need in open_view(view).NEEDS}
    language = open_language(data) if "language" in needed else None
    return replace(tools or Tools(), pairs=pairs, language=language)


def with_detection(
    tools: Tools,
    views: Iterable[str],
    detector: str | None,
    segmenter: str | None,
    word_vectors: str | None,
    device: str | None,
) -> Tools:
    """The tools with the models named that find key objects; none is loaded where no view would ask it."""
    if not any("grounder" in used_models(open_view(view)) for view in views):
        return tools
    if word_vectors:
        tools = replace(tools, similarity=open_word_vectors(word_vectors))
    if detector:
        from baselines.grounding import open_grounder

        tools = replace(tools, grounder=open_grounder(detector, segmenter, device=device))
    return tools


def used_models(module: ModuleType) -> set[str]:
    """The models that a view asks where they are there."""
    return {"reference", "grounder"} & {*module.NEEDS, *getattr(module, "USES", ())}


@cache
def open_view(name: str) -> ModuleType:
    """The module of a view; raises InputError for an unknown one."""
    return plugins.load(VIEWS, name)


def generator(view: str, pair_id: str, seed: int) -> np.random.Generator:
    """Random numbers that depend on these three and on nothing else."""
    return np.random.default_rng(int(content_hash([view, pair_id, seed], 32), 16))


def make_variant(view: str, pair: Pair, seed: int, tools: Tools) -> Variant:
    """The variant of a pair in a view; from the cache where making it takes a model."""
    module = open_view(view)
    for need in module.NEEDS:
        if not getattr(tools, need):
            raise InputError(f"view '{view}' needs {MISSING.get(need, need)}")
    if tools.cache is None or not any(getattr(tools, model) for model in used_models(module)):
        return made(module, pair, seed, tools)
    others = tools.pairs_hash if "pairs" in module.NEEDS else None
    own = file_hash(Path(view)) if view.endswith(".py") else None
    key = [
        Path(view).stem,
        own,
        module.VERSION,
        pair_digest(pair, file_hash(pair.image)),
        seed,
        others,
        tools.identity(),
    ]
    path = tools.cache / Path(view).stem / content_hash(key, 32)
    found = read_variant(path)
    if found is None:
        found = made(module, pair, seed, tools)
        write_variant(path, found)
    return found


def made(module: ModuleType, pair: Pair, seed: int, tools: Tools) -> Variant:
    variant: Variant = module.make(pair, seed, tools)
    return variant


def read_variant(path: Path) -> Variant | None:
    """A variant that write_variant left under `path`; None where there is none."""
    if not path.with_suffix(".json").is_file():
        return None
    row = json.loads(path.with_suffix(".json").read_text("utf-8"))
    image = open_image(path.with_suffix(".png")) if row.pop("has_image") else None
    return Variant(image=image, **row)


def write_variant(path: Path, variant: Variant) -> None:
    """Write PATH.png (lossless) and then PATH.json, each whole or not at all; several processes may do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    if variant.image:
        variant.image.save(partial, "png")
        os.replace(partial, path.with_suffix(".png"))
    row = {
        "prompt": variant.prompt,
        "answer": variant.answer,
        "reward": variant.reward,  # may be nan, which json writes and reads
        "notes": dict(variant.notes),
        "has_image": variant.image is not None,
    }
    partial.write_text(json.dumps(row, ensure_ascii=False), "utf-8")
    os.replace(partial, path.with_suffix(".json"))


def image_hash(image: Image.Image) -> str:
    """Hash of what a model is shown: mode, size and pixels."""
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()[:32]


def variant_hash(pair: Pair, variant: Variant) -> str:
    """What a variant shows, asks and answers."""
    return content_hash([image_hash(variant.image or open_image(pair.image)), variant.prompt, variant.answer])


def view_hash(view: str, pairs: Iterable[Pair], seed: int, tools: Tools) -> str:
    """Of all variants of a view, in the order of the pairs: equal exactly where a model sees the same."""
    return combined_hash((pair.id, variant_hash(pair, make_variant(view, pair, seed, tools))) for pair in pairs)


def combined_hash(variants: Iterable[tuple[str, str]]) -> str:
    """view_hash from (pair id, variant_hash) that are known already."""
    return content_hash([[pair, variant] for pair, variant in variants])


@dataclass(frozen=True)
class HitRate:
    """How often key objects were found. keywords, hit: words; pairs, whole: pairs, and those noised all over because nothing
    was found."""

    keywords: int
    hit: int
    pairs: int
    whole: int

    def __str__(self) -> str:
        share = f" ({self.hit / self.keywords:.0%})" if self.keywords else ""
        return (
            f"{self.hit} of {self.keywords} keywords found{share}; {self.whole} of {self.pairs} images noised all over"
        )


def hit_rate(variants: Iterable[Variant]) -> HitRate | None:
    """Over the variants that say which keywords were found; None where none does."""
    notes = [variant.notes for variant in variants if "keywords" in variant.notes]
    if not notes:
        return None
    return HitRate(
        sum(len(note["keywords"]) for note in notes),
        sum(len(note["hit"]) for note in notes),
        len(notes),
        sum(not note["hit"] for note in notes),
    )
