"""Opening views, and what they need besides a pair.

    tools = open_tools(["chosen", "region_noised"], pairs, data)

A view is a module of baselines.views, or a path to a file like one; see there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from baselines.types import Pair
from baselines.view_tools.keywords import LETTERS, WordSimilarity
from baselines.view_tools.keywords import word_vectors as open_word_vectors
from baselines.view_tools.noise import CLIP_336, ModelPixels
from baselines.view_tools.regions import Grounder
from halbench import plugins
from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.files.records import content_hash
from halbench.scoring_tools.language import Language, open_language

if TYPE_CHECKING:
    from baselines.view_tools.reference_model import ReferenceModel

VIEWS = "baselines.views"
HOW_TO_GET = {
    "pairs": "the whole preference set",
    "language": "NLTK's resources; get them with: halbench data fetch nltk_data",
    "reference": "a model; give --model",
}


@dataclass(frozen=True)
class Tools:
    """What views may need besides the pair. A view's NEEDS lists those that it cannot work without.

    pairs: the whole preference set. pixels: of the model that will see the variants. similarity: of words, for
    keywords. grounder: finds the regions of keywords in images without boxes. reference: the model that is attacked and
    sampled. cache: folder for variants that took a model to make.
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
        """Hash of the preference set, for views that draw on all of it."""
        return content_hash(
            [[pair.id, pair.prompt, pair.chosen, *(path.name for path in pair.images)] for pair in self.pairs]
        )

    def identity(self) -> dict[str, Any]:
        """What can change a variant besides its pair, its view and the seed."""
        return {
            "pixels": self.pixels,
            "similarity": self.similarity.name,
            "language": self.language.identity() if self.language else None,
            "grounder": self.grounder.identity if self.grounder else None,
            "reference": self.reference.identity if self.reference else None,
        }


@cache
def open_view(name: str) -> ModuleType:
    """The module of a view. Raises InputError for an unknown one, and for a user's file that is no view."""
    module = plugins.load(VIEWS, name)
    version, needs, _ = plugins.required(module, "VERSION", "NEEDS", "make")
    known = {field.name for field in fields(Tools)}
    for attribute, names in (("NEEDS", needs), ("USES", getattr(module, "USES", ()))):
        if not isinstance(names, tuple | list) or not known.issuperset(names):
            raise InputError(
                f"{module.__file__}: {attribute}: expected a tuple of {', '.join(sorted(known))}, found {names!r}"
            )
    if not isinstance(version, str):
        raise InputError(f"{module.__file__}: VERSION: expected text, found {version!r}")
    return module


def used_models(module: ModuleType) -> set[str]:
    """The tools with a model that a view uses, where they are open."""
    return {"reference", "grounder"} & {*module.NEEDS, *getattr(module, "USES", ())}


def open_tools(views: Iterable[str], pairs: Sequence[Pair], data: Data, tools: Tools | None = None) -> Tools:
    """`tools` with those that these views need and that take no model."""
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
    """The tools with these models, which find key objects; none is loaded if no view would use it."""
    if not any("grounder" in used_models(open_view(view)) for view in views):
        return tools
    if word_vectors:
        tools = replace(tools, similarity=open_word_vectors(word_vectors))
    if detector:
        from baselines.view_tools.grounding import open_grounder

        tools = replace(tools, grounder=open_grounder(detector, segmenter, device=device))
    return tools
