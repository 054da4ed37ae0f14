"""From pairs to variants, the same on every machine and in any order.

variant = make_variant("region_noised", pair, seed=0, tools=tools)
"""

from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from baselines.pairs.content_hashes import pair_digest
from baselines.types import Pair, Variant
from baselines.view_tools.tools import HOW_TO_GET, Tools, open_view, used_models
from baselines.view_tools.variant_cache import read_variant, write_variant
from halbench import plugins
from halbench.errors import InputError
from halbench.files.records import content_hash, file_hash


def generator(view: str, pair_id: str, seed: int) -> np.random.Generator:
    """Random numbers that depend on these three and on nothing else."""
    return np.random.default_rng(int(content_hash([view, pair_id, seed], 32), 16))


def make_variant(view: str, pair: Pair, seed: int, tools: Tools) -> Variant:
    """The variant of a pair in a view; from the cache if making it takes a model."""
    module = open_view(view)
    for need in module.NEEDS:
        if not getattr(tools, need):
            raise InputError(f"view '{view}' needs {HOW_TO_GET.get(need, need)}")
    if tools.cache is None or not any(getattr(tools, model) for model in used_models(module)):
        return call_view(module, pair, seed, tools)
    key = [
        Path(view).stem,
        file_hash(Path(view)) if view.endswith(".py") else None,
        module.VERSION,
        pair_digest(pair, [file_hash(path) for path in (*pair.images, *pair.rejected_images)]),
        seed,
        tools.pairs_hash if "pairs" in module.NEEDS else None,
        tools.identity(),
    ]
    path = tools.cache / Path(view).stem / content_hash(key, 32)
    variant = read_variant(path)
    if variant is None:
        variant = call_view(module, pair, seed, tools)
        write_variant(path, variant)
    return variant


def call_view(module: ModuleType, pair: Pair, seed: int, tools: Tools) -> Variant:
    """What a view's make() returns. Raises InputError, naming the view's file, for what is no variant."""
    where = plugins.location(module, "make")
    variant = plugins.checked(module.make(pair, seed, tools), Variant, where)
    plugins.checked(variant.prompt, str, f"{where}: prompt")
    plugins.checked(variant.answer, str, f"{where}: answer")
    if variant.images is not None:
        for image in plugins.checked(variant.images, tuple, f"{where}: images"):
            plugins.checked(image, Image.Image, f"{where}: images")
    return variant
