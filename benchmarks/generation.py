"""How fast a checkpoint answers at several batch sizes: descriptions (one per image) and questions (14 per image).

    python benchmarks/generation.py CHECKPOINT IMAGES --out benchmarks/results/generation.json

Each round runs every batch size once, in rotating order, so that a busy minute of the machine affects all of them alike;
ratios are taken within a round and their median is reported. Images repeat until there are --items of them.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from halbench.backends.hf import HfBackend
from halbench.models.checkpoints import open_checkpoint
from halbench.types import BackendOptions, Decoding, Item

OBJECTS = (
    "person",
    "dog",
    "cat",
    "chair",
    "car",
    "bottle",
    "cup",
    "table",
    "bed",
    "clock",
    "knife",
    "fork",
    "bird",
    "tree",
)


def descriptions(images: list[Path], count: int) -> list[Item]:
    chosen = itertools.islice(itertools.cycle(images), count)
    return [
        Item(str(n), (image,), "Describe this image in detail.", None, "description") for n, image in enumerate(chosen)
    ]


def questions(images: list[Path], count: int) -> list[Item]:
    chosen = itertools.islice(itertools.cycle(images), max(1, count // len(OBJECTS)))
    return [
        Item(f"{n}-{name}", (image,), f"Is there a {name} in the image? Please answer yes or no.", None, "question")
        for n, image in enumerate(chosen)
        for name in OBJECTS
    ]


def seconds(backend: HfBackend, items: list[Item], decoding: Decoding) -> float:
    start = time.perf_counter()
    rows = list(backend.generate(items, decoding))
    failed = [row for row in rows if row.state == "error"]
    if failed:
        sys.exit(f"{len(failed)} of {len(rows)} items failed: {failed[0].error}")
    return time.perf_counter() - start


def measure(backends: dict[int, HfBackend], items: list[Item], decoding: Decoding, rounds: int) -> dict[str, object]:
    """Items per second at each batch size, and ratios to the first size."""
    sizes = list(backends)
    timed: dict[int, list[float]] = {size: [] for size in sizes}
    for number in range(rounds):
        for size in sizes[number % len(sizes) :] + sizes[: number % len(sizes)]:
            timed[size].append(seconds(backends[size], items, decoding))
    first = timed[sizes[0]]
    return {
        "items": len(items),
        "max_new_tokens": decoding.max_new_tokens,
        "seconds": timed,
        "items_per_second": {size: len(items) / statistics.median(timed[size]) for size in sizes},
        f"ratio_to_batch_{sizes[0]}": {
            size: statistics.median(a / b for a, b in zip(first, timed[size], strict=True)) for size in sizes
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("images", type=Path, help="folder of .jpg or .png files")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--items", type=int, default=112)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--device")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    options = BackendOptions(dtype=arguments.dtype, device=arguments.device)
    checkpoint = open_checkpoint(arguments.checkpoint, options)
    backends = {size: HfBackend(checkpoint, replace(options, batch_size=size)) for size in arguments.batch_sizes}
    images = sorted(path for path in arguments.images.iterdir() if path.suffix in (".jpg", ".png"))
    long, short = Decoding(arguments.max_new_tokens), Decoding(8)
    for backend in backends.values():
        seconds(backend, descriptions(images, 32), replace(long, max_new_tokens=2))  # warm up
    result = {
        "identity": dict(checkpoint.identity),
        "device": torch.cuda.get_device_name() if checkpoint.model.device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "rounds": arguments.rounds,
        "descriptions": measure(backends, descriptions(images, arguments.items), long, arguments.rounds),
        "questions": measure(backends, questions(images, arguments.items), short, arguments.rounds),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
