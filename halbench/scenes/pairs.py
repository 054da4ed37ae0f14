"""Preference pairs for `baselines`: what a checkpoint itself says of training scenes, ranked by exact truth.

    {"id": "12", "image": "images/scene_000012.png", "prompt": "Describe this image.", "chosen": "...", "rejected": "...",
     "regions": [{"name": "fork", "box": [62, 1, 79, 18]}], "meta": {"chosen": {"mentions": 4, ...}, "rejected": {...}}}

regions are the boxes (left, top, right, bottom) of the objects that the chosen description names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from halbench.records import content_hash, write_jsonl
from halbench.scenes.captions import DESCRIPTION_PROMPTS
from halbench.scenes.drawing import draw_scene, object_box
from halbench.scenes.image_files import image_name, write_images
from halbench.scenes.world import Scene, sample_scenes
from halbench.suites.scenes import WORLD, mentions, scene_items, score_description

PROMPT = DESCRIPTION_PROMPTS[0]
CHUNK = 16  # scenes sampled together; part of what the seed means
MOST_TRIED = 20  # scenes tried per pair wanted, before giving up


@dataclass(frozen=True)
class PairOptions:
    """pairs: how many. samples: descriptions per scene. length_ratio: largest ratio of words, either way round."""

    pairs: int = 400
    samples: int = 6
    temperature: float = 1.0
    length_ratio: float = 1.25
    max_new_tokens: int = 96
    seed: int = 0


@dataclass(frozen=True)
class Ranked:
    """A sampled description and its counts by truth (see suites/scenes.py)."""

    text: str
    counts: Mapping[str, float]


def write_pairs(folder: Path, network: Any, processor: Any, options: PairOptions, found_one: Callable[[], None]) -> int:
    """Write pairs.jsonl and images/; returns how many pairs there are, fewer than asked for where scenes ran out.

    network, processor: in float32, padding on the left, as backends/hf.py opens them. found_one is called for each pair.
    """
    found: list[tuple[Scene, dict[str, Any]]] = []
    for scene, texts in sampled_scenes(network, processor, options):
        best = best_pair([ranked(scene, text) for text in texts], options.length_ratio)
        if best:
            found.append((scene, pair_row(scene, *best)))
            found_one()
        if len(found) == options.pairs:
            break
    write_images(folder / "images", [scene for scene, _ in found], WORLD)
    write_jsonl(folder / "pairs.jsonl", [row for _, row in found])
    return len(found)


def sampled_scenes(network: Any, processor: Any, options: PairOptions) -> Iterator[tuple[Scene, list[str]]]:
    """Training scenes, each with the descriptions that were sampled for it."""
    for start in range(0, options.pairs * MOST_TRIED, CHUNK):
        scenes = sample_scenes(WORLD, options.seed, "training", range(start, start + CHUNK))
        yield from zip(scenes, sample(network, processor, scenes, options), strict=True)


@torch.inference_mode()
def sample(network: Any, processor: Any, scenes: Sequence[Scene], options: PairOptions) -> list[list[str]]:
    """`samples` descriptions of each scene, from a generator seeded by (seed, first scene)."""
    content = [{"type": "image"}, {"type": "text", "text": PROMPT}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = [[draw_scene(scene, WORLD)] for scene in scenes]
    inputs = processor(text=[text] * len(scenes), images=images, return_tensors="pt")
    with torch.random.fork_rng([]):
        torch.manual_seed(int(content_hash([options.seed, scenes[0].index]), 16))
        output = network.generate(
            **inputs,
            do_sample=True,
            temperature=options.temperature,
            top_k=0,
            num_return_sequences=options.samples,
            max_new_tokens=options.max_new_tokens,
        )
    new = output[:, inputs["input_ids"].shape[1] :]
    texts = [said.strip() for said in processor.batch_decode(new, skip_special_tokens=True)]
    return [texts[row : row + options.samples] for row in range(0, len(texts), options.samples)]


def ranked(scene: Scene, text: str) -> Ranked:
    description, *_ = scene_items(scene, Path(image_name(scene)))
    return Ranked(text, score_description(description, text).counts)


def best_pair(candidates: Sequence[Ranked], length_ratio: float) -> tuple[Ranked, Ranked] | None:
    """Of all pairs in which the chosen one hallucinates less, covers no less and is about as long: the one furthest
    apart in hallucinations, then of the highest coverage, then of the nearest lengths, then the first."""
    pairs = [
        (chosen, rejected)
        for chosen in candidates
        for rejected in candidates
        if is_better(chosen, rejected, length_ratio)
    ]
    return max(pairs, key=lambda pair: preference(*pair), default=None)


def is_better(chosen: Ranked, rejected: Ranked, length_ratio: float) -> bool:
    shorter, longer = sorted((chosen.counts["words"], rejected.counts["words"]))
    return (
        chosen.counts["mentions_hallucinated"] < rejected.counts["mentions_hallucinated"]
        and chosen.counts["truth_covered"] >= rejected.counts["truth_covered"]
        and longer <= length_ratio * shorter
    )


def preference(chosen: Ranked, rejected: Ranked) -> tuple[float, float, float]:
    return (
        rejected.counts["mentions_hallucinated"] - chosen.counts["mentions_hallucinated"],
        chosen.counts["truth_covered"],
        -abs(chosen.counts["words"] - rejected.counts["words"]),
    )


def pair_row(scene: Scene, chosen: Ranked, rejected: Ranked) -> dict[str, Any]:
    """One line of pairs.jsonl."""
    return {
        "id": str(scene.index),
        "image": f"images/{image_name(scene)}",
        "prompt": PROMPT,
        "chosen": chosen.text,
        "rejected": rejected.text,
        "regions": regions(scene, {mention.name for mention in mentions(chosen.text)}),
        "meta": {"chosen": chosen.counts, "rejected": rejected.counts},
    }


def regions(scene: Scene, names: Iterable[str]) -> list[dict[str, Any]]:
    """Name and box of every object of these classes."""
    return [{"name": thing.name, "box": list(object_box(thing))} for thing in scene.objects if thing.name in names]
