"""Variants on disk: PATH.json, and PATH-0.png, PATH-1.png ... for their images."""

import json
from pathlib import Path

from baselines.types import Variant
from halbench.files.records import write_text
from halbench.files.writing import replacing
from halbench.models.images import open_image


def read_variant(path: Path) -> Variant | None:
    """The variant under `path`; None if it is missing or cannot be read."""
    try:
        row = json.loads(path.with_suffix(".json").read_text("utf-8"))
        count = row.pop("images")
        images = None if count is None else tuple(open_image(image_path(path, number)) for number in range(count))
        return Variant(images=images, **row)
    except Exception:  # decoders of damaged files raise nearly anything
        return None


def image_path(path: Path, number: int) -> Path:
    """The file of an image of the variant under `path`."""
    return path.with_name(f"{path.name}-{number}.png")


def write_variant(path: Path, variant: Variant) -> None:
    """Write the images (lossless) and then PATH.json, each whole or not at all; several processes may do so at once."""
    for number, image in enumerate(variant.images or ()):
        with replacing(image_path(path, number)) as partial:
            image.save(partial, "png")
    row = {
        "prompt": variant.prompt,
        "answer": variant.answer,
        "reward": variant.reward,  # may be nan, which json writes and reads
        "notes": dict(variant.notes),
        "images": None if variant.images is None else len(variant.images),
    }
    write_text(path.with_suffix(".json"), json.dumps(row, ensure_ascii=False))
