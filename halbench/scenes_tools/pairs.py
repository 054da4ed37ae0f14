"""Preference pairs for `baselines`: a checkpoint's own descriptions of training scenes, ranked by exact truth.

    {"id": "12", "image": "images/scene_000012.png", "prompt": "Describe this image.", "chosen": "...", "rejected": "...",
     "regions": [{"name": "fork", "box": [62, 1, 79, 18]}], "meta": {"chosen": {"mentions": 4, ...}, "rejected": {...}}}

regions are the boxes (left, top, right, bottom) of the objects that the chosen description names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from halbench.files.records import content_hash, write_jsonl
from halbench.scenes.captions import DESCRIPTION_PROMPTS
from halbench.scenes.drawing import draw_scene, object_box
from halbench.scenes.image_files import image_name, write_images
from halbench.scenes.mentions import mentions
from halbench.scenes.world import WORLD, Scene, sample_scenes
from halbench.scenes_tools.pair_options import PairOptions
from halbench.suites.scenes import scene_items, score_description

PROMPT = DESCRIPTION_PROMPTS[0]
CHUNK = 16  # scenes sampled together; other chunks give other samples for the same seed
MOST_SCENES = 20  # scenes tried per requested pair, at most


@dataclass(frozen=True)
class Ranked:
    """A sampled description with its counts against the truth (see suites/scenes.py)."""

    text: str
    counts: Mapping[str, float]


def write_pairs(folder: Path, model: Any, processor: Any, options: PairOptions, on_pair: Callable[[], None]) -> int:
    """Write pairs.jsonl and images/. Returns the number of pairs, which is smaller than requested if the model hallucinates
    too rarely.

    model, processor: in float32, padding on the left, as models/checkpoints.py opens them. on_pair: called for each pair.
    """
    pairs: list[tuple[Scene, dict[str, Any]]] = []
    for scene, texts in sampled_scenes(model, processor, options):
        best = best_pair([ranked(scene, text) for text in texts], options.length_ratio)
        if best:
            pairs.append((scene, pair_row(scene, *best)))
            on_pair()
        if len(pairs) == options.pairs:
            break
    write_images(folder / "images", [scene for scene, _ in pairs], WORLD)
    write_jsonl(folder / "pairs.jsonl", [row for _, row in pairs])
    return len(pairs)


def sampled_scenes(model: Any, processor: Any, options: PairOptions) -> Iterator[tuple[Scene, list[str]]]:
    """Training scenes, each with sampled descriptions."""
    for start in range(0, options.pairs * MOST_SCENES, CHUNK):
        scenes = sample_scenes(WORLD, options.seed, "training", range(start, start + CHUNK))
        yield from zip(scenes, sample(model, processor, scenes, options), strict=True)


@torch.inference_mode()
def sample(model: Any, processor: Any, scenes: Sequence[Scene], options: PairOptions) -> list[list[str]]:
    """`samples` descriptions of each scene, from a generator seeded by (seed, first scene)."""
    content = [{"type": "image"}, {"type": "text", "text": PROMPT}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = [[draw_scene(scene, WORLD)] for scene in scenes]
    inputs = processor(text=[prompt] * len(scenes), images=images, return_tensors="pt")
    with torch.random.fork_rng([]):
        torch.manual_seed(int(content_hash([options.seed, scenes[0].index]), 16))
        output = model.generate(
            **inputs,
            do_sample=True,
            temperature=options.temperature,
            top_k=0,
            num_return_sequences=options.samples,
            max_new_tokens=options.max_new_tokens,
        )
    new = output[:, inputs["input_ids"].shape[1] :]
    texts = [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
    return [texts[row : row + options.samples] for row in range(0, len(texts), options.samples)]


def ranked(scene: Scene, text: str) -> Ranked:
    """A description of a scene with its counts."""
    description, *_ = scene_items(scene, Path(image_name(scene)))
    return Ranked(text, score_description(description, text).counts)


def best_pair(candidates: Sequence[Ranked], length_ratio: float) -> tuple[Ranked, Ranked] | None:
    """The best (chosen, rejected) in which chosen hallucinates less, covers no less and is of similar length; None if there
    is none. Best is the largest difference in hallucinations, then the highest coverage, then the smallest difference in
    length, then the first."""
    pairs = [
        (chosen, rejected)
        for chosen in candidates
        for rejected in candidates
        if is_better(chosen, rejected, length_ratio)
    ]
    return max(pairs, key=lambda pair: preference(*pair), default=None)


def is_better(chosen: Ranked, rejected: Ranked, length_ratio: float) -> bool:
    """Whether two descriptions can be a pair."""
    shorter, longer = sorted((chosen.counts["words"], rejected.counts["words"]))
    return (
        chosen.counts["mentions_hallucinated"] < rejected.counts["mentions_hallucinated"]
        and chosen.counts["truth_covered"] >= rejected.counts["truth_covered"]
        and longer <= length_ratio * shorter
    )


def preference(chosen: Ranked, rejected: Ranked) -> tuple[float, float, float]:
    """By which pairs are compared: larger is better."""
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
