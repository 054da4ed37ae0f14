"""Everything before the first step: the model opened, views made, reference log-probs computed, the order fixed."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from transformers import TrainingArguments

from baselines.encoding.encoder import Encoder
from baselines.encoding.packed_forward import as_scoring_model
from baselines.encoding.reference_cache import ReferenceCache, weights_hash
from baselines.encoding.sequences import Example
from baselines.pairs.preferences import PreferenceSet
from baselines.pairs.questions import questions_hash
from baselines.training import adaptation, data_proof, preflight
from baselines.training.base_model import image_token_id, open_for_training
from baselines.training.batches import Batches, PairViews
from baselines.training.open_objective import Objective
from baselines.training.order import training_order
from baselines.training.processes import broadcast_from_main
from baselines.training.recipes import TrainingPlan
from baselines.training.reference_pass import fitting, longest_allowed, precompute_all, reference_identity
from baselines.training.rollouts import Rollouts, open_rollouts
from baselines.view_tools.noise import model_pixels
from baselines.view_tools.reference_model import ReferenceModel
from baselines.view_tools.tools import Tools, open_tools, open_view, with_detection
from halbench.data.datasets import open_data
from halbench.errors import InputError
from halbench.files.user_cache import user_cache
from halbench.models.checkpoints import Checkpoint
from halbench.terminal.progress import say

TRIED = 3
"""Pairs on which a packed forward pass is held against a plain one."""


@dataclass(frozen=True)
class Prepared:
    """All that training needs. order: pair indices of every epoch, in whole steps. proof: see data_proof.py."""

    checkpoint: Checkpoint
    model: Any
    data: PairViews
    batches: Batches
    order: Sequence[Sequence[int]]
    proof: Mapping[str, Any]
    rollouts: Rollouts | None


def prepare(
    plan: TrainingPlan,
    objective: Objective,
    source: str,
    pairs: PreferenceSet,
    arguments: TrainingArguments,
) -> Prepared:
    """Open the model, make every view once, compute the reference log-probs that are not cached, fix the order."""
    recipe = plan.recipe
    checkpoint = open_for_training(source, plan, arguments)
    preflight.check_images(pairs.pairs, checkpoint)
    model = as_scoring_model(adaptation.without_dropout(checkpoint.model))
    root = plan.cache or user_cache()
    tools = Tools(
        pixels=model_pixels(checkpoint.processor.image_processor),
        reference=ReferenceModel(checkpoint),
        cache=root / "variants",
    )
    device = str(arguments.device)
    tools = with_detection(tools, objective.views, recipe.detector, recipe.segmenter, recipe.word_vectors, device)
    tools = open_tools(objective.views, pairs.pairs, open_data(), tools)
    longest = longest_allowed(model, recipe)
    pad_id = checkpoint.processor.tokenizer.pad_token_id or 0
    views = partial(PairViews, pairs.pairs, objective.views, recipe.seed, tools)
    data = views(Encoder(checkpoint, packed=True))
    tried = first_fitting(data, longest)
    packed = broadcast_from_main(can_pack(model, tried, pad_id))
    if not packed:
        data = views(Encoder(checkpoint, packed=False))
        tried = first_fitting(data, longest)
    if tried:
        preflight.check_forward(model, tried, pad_id, packed)
    cache = ReferenceCache(root, reference_identity(checkpoint, arguments, packed))
    batches = Batches(cache, pad_id, packed, image_token_id(model))
    infos = precompute_all(data, batches, model, plan, arguments)
    used = fitting(infos, longest)
    if not used:
        raise InputError(f"{plan.data}: all {len(infos)} pairs are longer than {longest} tokens; see --max-length")
    order = training_order(recipe, objective, infos, used)
    proof = {
        "pairs": pairs.hash,
        "unreadable": len(pairs.dropped),
        "used": len(used),
        "dropped": [infos[index].id for index in sorted({*range(len(infos))} - {*used})],
        "order": [data_proof.order_hash([infos[index].id for index in epoch]) for epoch in order],
        "views": data_proof.view_proof(
            [infos[index] for index in used], {view: open_view(view).VERSION for view in objective.views}
        ),
        "seed": recipe.seed,
        "model": weights_hash(model),
        "reference": cache.key,
        "packed": packed,
        "processes": arguments.world_size,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
    }
    rollouts = open_rollouts(objective, recipe, data.encoder, pad_id, arguments, root)
    if rollouts:
        proof["questions"] = questions_hash(rollouts.questions)
    return Prepared(checkpoint, model, data, batches, order, proof, rollouts)


def first_fitting(data: PairViews, longest: int | None) -> list[Example]:
    """The first TRIED examples that are not too long."""
    fitting = (one for one in map(data.__getitem__, range(len(data))) if longest is None or one.length() <= longest)
    return list(islice(fitting, TRIED))


def can_pack(model: Any, examples: Sequence[Example], pad_id: int) -> bool:
    """Whether answers to the same images and prompt can share a sequence; it is said why not."""
    problem = preflight.packing_problem(model, examples, pad_id) if examples else None
    if problem is not None:
        say(f"answers about one image do not share a forward pass with this model: {problem}")
    return problem is None
