"""Every view made and every reference log-prob computed before training, each process doing its share."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import TrainingArguments

from baselines.encoding.collation import collate, on_device
from baselines.encoding.packed_forward import Tokens
from baselines.encoding.reference import PairInfo, precompute
from baselines.encoding.reference_cache import weights_hash
from baselines.encoding.sequences import TokenSequence
from baselines.training.batches import Batches, PairViews
from baselines.training.recipes import Recipe, TrainingPlan
from baselines.view_tools.tools import open_view, used_models
from halbench.models.checkpoints import Checkpoint
from halbench.terminal.progress import progress


def precompute_all(
    data: PairViews,
    batches: Batches,
    model: Any,
    plan: TrainingPlan,
    arguments: TrainingArguments,
) -> list[PairInfo]:
    """The PairInfo of every pair; all reference log-probs are then in the cache."""
    size = arguments.per_device_train_batch_size
    chunks = [list(range(start, min(start + size, len(data)))) for start in range(0, len(data), size)]
    own = chunks[arguments.process_index :: arguments.world_size]
    # Views that need a model are made in this process, which has it; training then reads them from the cache.
    needs_model = any(getattr(data.tools, tool) for view in data.views for tool in used_models(open_view(view)))
    loader = DataLoader(data, batch_sampler=own, collate_fn=list, num_workers=0 if needs_model else plan.workers)
    cast = torch.autocast(arguments.device.type, torch.bfloat16, enabled=arguments.bf16)

    def score(sequences: list[TokenSequence]) -> Tokens:
        with torch.no_grad(), cast:
            tokens: Tokens = model(**on_device(collate(sequences, batches.pad_id, batches.packed), arguments.device))
        return tokens

    rows: list[tuple[int, PairInfo]] = []
    longest = longest_allowed(model, plan.recipe)
    with progress("views and reference log-probs of pairs", sum(map(len, own))) as steps:
        for chunk, infos in zip(own, precompute(loader, batches.cache, score, longest), strict=True):
            rows += zip(chunk, infos, strict=True)
            steps.advance(len(chunk))
    if arguments.world_size > 1:
        gathered: list[Any] = [None] * arguments.world_size
        torch.distributed.all_gather_object(gathered, rows)
        rows = [row for part in gathered for row in part]
        batches.cache.read()
    return [info for _, info in sorted(rows, key=lambda row: row[0])]


def reference_identity(checkpoint: Checkpoint, arguments: TrainingArguments, packed: bool) -> dict[str, str]:
    """All that can change a reference log-prob of given tokens and images."""
    return {
        **checkpoint.identity,
        "weights": weights_hash(checkpoint.model),
        "autocast": "bfloat16" if arguments.bf16 else "none",
        "attention": str(checkpoint.model.config.get_text_config()._attn_implementation),
        "device": arguments.device.type,
        "packed": str(packed).lower(),
    }


def longest_allowed(model: Any, recipe: Recipe) -> int | None:
    """Most tokens that a prompt with an answer may have."""
    limit: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min((length for length in (recipe.max_length, limit) if length is not None), default=None)


def fitting(infos: Sequence[PairInfo], longest: int | None) -> list[int]:
    """Indices of the pairs that are not too long."""
    return [index for index, info in enumerate(infos) if longest is None or info.length <= longest]
