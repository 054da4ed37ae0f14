"""Questions on one image answered behind one forward pass over the image: the prefix that their prompts share.

    [pad  <image> <image> ... USER:]  [pad pad Is there a dog? ASSISTANT:]
     prefix, once per set of images    suffix, one per question

No list says which model families this suits. A run tries it on its first questions: `disagreement` compares tokens and
log-probs with those of the whole prompts, and where they differ, or the model fails, the run goes on without sharing.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationMixin

from halbench.models.chat_templates import image_tokens, starts_with_bos
from halbench.models.positions import image_axes
from halbench.models.tolerance import TOLERANCE
from halbench.types import Item

STEPS = 4  # tokens that are generated to compare: the first comes from the prompt, the others also from the cache
CACHE = (
    "cache"
    if "cache" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    else "past_key_values"
)
"""What this release of transformers calls the keys and values of earlier tokens."""
SEEN = "cross_attention_mask"
"""Which images each token sees [B, T, images, tiles], in models that have them behind cross-attention (Mllama)."""


@dataclass(frozen=True)
class Suffixes:
    """The questions of a batch, each behind a prefix that it may share. ids, mask [B, T], left-padded; prefix [B]: index of
    each row's prefix."""

    ids: torch.Tensor
    mask: torch.Tensor
    prefix: torch.Tensor


def image_sets(items: Sequence[Item]) -> list[tuple[Path, ...]]:
    """The distinct sets of images that items show, in order of first appearance."""
    return list(dict.fromkeys(item.images for item in items))


def image_mark(processor: Any, prompts: Sequence[str]) -> str | None:
    """The token that stands for an image in prompts, before the processor replaces it; None if it is not one token."""
    marks = [mark for mark in image_tokens(processor) if all(mark in prompt for prompt in prompts)]
    single = (mark for mark in marks if mark in processor.tokenizer.get_added_vocab())
    return next(single, None)


def can_share(processor: Any, items: Sequence[Item], prompts: Sequence[str]) -> bool:
    """Whether some items show the same images, all show equally many, and all prompts agree up to the last image and in the
    white space behind it, which a processor may join to text of its own."""
    counts = {len(item.images) for item in items}
    mark = image_mark(processor, prompts)
    if mark is None or 0 in counts or len(counts) > 1 or len(image_sets(items)) == len(items):
        return False
    parts = [prompt.rpartition(mark) for prompt in prompts]
    spaces = {ending[: len(ending) - len(ending.lstrip())] for _, _, ending in parts}
    return len({start for start, _, _ in parts}) == len(spaces) == 1


def question_suffixes(processor: Any, prompts: Sequence[str], prefix: torch.Tensor) -> Suffixes:
    """The tokens of each prompt after its last image."""
    tokenizer = processor.tokenizer
    image = tokenizer.convert_tokens_to_ids(image_mark(processor, prompts))
    special = not starts_with_bos(tokenizer, prompts[0])
    rows = tokenizer(list(prompts), add_special_tokens=special)["input_ids"]
    endings = [row[len(row) - row[::-1].index(image) :] for row in rows]
    padded = tokenizer.pad({"input_ids": endings}, padding=True, return_tensors="pt")
    return Suffixes(padded["input_ids"], padded["attention_mask"], prefix)


def cut_prefixes(prefixes: Any, suffixes: Suffixes) -> bool:
    """Cut the first question off every row of inputs. False if they do not all end in it: a processor that does not leave
    the end of a prompt as the tokenizer makes it."""
    ending = suffixes.ids[0][suffixes.mask[0].bool()]
    if not prefixes["input_ids"][:, -len(ending) :].eq(ending).all():
        return False
    length = prefixes["input_ids"].shape[1]
    for name, value in prefixes.items():
        if (value.ndim == 2 or name == SEEN) and value.shape[1] == length:
            prefixes[name] = value[:, : length - len(ending)]
    return True


def branch(model: Any, prefixes: Any, suffixes: Suffixes) -> dict[str, Any]:
    """Arguments of generate() for questions behind prefixes, each of which runs through the model once.

    There is then padding between prefix and question as well. The mask covers it, and positions are counted by the mask,
    so every question sees what it would see alone.
    """
    mask, rows = prefixes["attention_mask"], suffixes.prefix.to(prefixes["attention_mask"].device)
    own = suffixes.mask.to(mask.device)
    axes = image_axes(model, prefixes)
    positions = {"position_ids": (mask.cumsum(-1) - 1).clamp(min=0) if axes is None else axes}
    taken = positions if "position_ids" in inspect.signature(model.forward).parameters else {}
    cache = getattr(model(**prefixes, **taken, use_cache=True, logits_to_keep=1), CACHE)
    cache.batch_select_indices(rows)
    continued = {}
    if SEEN in prefixes:
        seen = prefixes[SEEN][rows]
        continued[SEEN] = torch.cat([seen, seen[:, -1:].expand(-1, own.shape[1], -1, -1)], dim=1)
    if axes is not None:
        behind = axes.amax((0, 2))[rows, None] + own.cumsum(-1)
        continued["position_ids"] = torch.cat([axes[:, rows], behind.clamp(min=0).expand(3, -1, -1)], dim=-1)
    return {
        "input_ids": torch.cat([prefixes["input_ids"][rows], suffixes.ids.to(mask.device)], dim=1),
        "attention_mask": torch.cat([mask[rows], own], dim=1),
        CACHE: cache,
        **continued,
    }


def attention_window(model: Any) -> int | None:
    """How far back the model's attention looks in some layers, in tokens; None if nothing limits it. Padding between prefix
    and question would move what it sees."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    limits = {"sliding_attention": "sliding_window", "chunked_attention": "attention_chunk_size"}
    sizes = [getattr(config, name, None) for kind, name in limits.items() if kinds is None or kind in kinds]
    return min((size for size in sizes if isinstance(size, int)), default=None)


@torch.inference_mode()
def disagreement(model: Any, whole: Any, shared: Mapping[str, Any]) -> str | None:
    """What differs between answers to whole prompts and to the same prompts behind shared prefixes; None if nothing does.

    whole, shared: arguments of generate() for the same questions.
    """
    for row, other in zip(tokens_read(whole), tokens_read(shared), strict=True):
        if row != other:
            return "the tokens of a prompt differ"
    ways = [
        model.generate(
            **inputs, max_new_tokens=STEPS, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
        for inputs in (whole, shared)
    ]
    texts = [way.sequences[:, -len(way.logits) :] for way in ways]
    steps = min(len(way.logits) for way in ways)
    same = torch.ones(len(texts[0]), dtype=torch.bool, device=texts[0].device)
    differences = []
    for step in range(steps):
        logps, others = (way.logits[step].float().log_softmax(-1) for way in ways)
        differences.append((logps.exp() * (logps - others).abs()).nan_to_num().sum(-1)[same])
        same = same & (texts[0][:, step] == texts[1][:, step])
    mean, most = float(torch.cat(differences).mean()), float(torch.cat(differences).max())
    allowed = TOLERANCE[model.dtype]
    return None if mean <= allowed and most <= 10 * allowed else f"log-probs differ by {mean:.2g} nats"


def tokens_read(inputs: Mapping[str, torch.Tensor]) -> list[list[int]]:
    """The tokens of each row without its padding."""
    return [ids[mask.bool()].tolist() for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
