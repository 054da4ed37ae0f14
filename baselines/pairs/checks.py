"""Whether a row is a usable preference: its texts, its images, its boxes."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from baselines.pairs.layouts import IMAGE_PLACEHOLDER, BadRow, Draft
from baselines.types import Pair, Region
from halbench.files.writing import replacing


@dataclass(frozen=True)
class Checked:
    """A good row; its pair has the id of the row, or "" if the row has none. file_hashes: of the bytes of its images,
    then of its rejected images."""

    where: str
    pair: Pair
    file_hashes: tuple[str, ...]


def checked(where: str, draft: Draft, folder: Path, cache: Path) -> Checked:
    """The pair of a row. Raises BadRow. folder: what relative image paths start from. cache: folder for images that
    come as bytes."""
    prompt = without_placeholders(draft.prompt, len(draft.images))
    chosen, rejected = draft.chosen.strip(), draft.rejected.strip()
    for name, text in (("prompt", prompt), ("chosen", chosen), ("rejected", rejected)):
        if not text:
            raise BadRow("empty text", f"'{name}' is empty")
        if IMAGE_PLACEHOLDER in text:
            raise BadRow("misplaced image placeholder", f"'{name}' contains {IMAGE_PLACEHOLDER}")
    if chosen == rejected:
        raise BadRow("equal answers", "chosen and rejected are the same text")
    if draft.regions and len(draft.images) != 1:
        raise BadRow("malformed region", f"regions need a pair with one image; this one has {len(draft.images)}")
    if draft.rejected_images and not draft.images:
        raise BadRow("no image", "rejected_images are given, but the pair has no images")
    files = [located(image, folder, cache) for image in (*draft.images, *draft.rejected_images)]
    sizes = [decoded_size(path, data) for path, data in files]
    regions = tuple(checked_region(region, sizes[0]) for region in draft.regions)
    for path, data in files:
        if not path.is_file() or path.stat().st_size != len(data):
            with replacing(path) as partial:
                partial.write_bytes(data)
    paths = tuple(path for path, _ in files)
    own, rejected_images = paths[: len(draft.images)], paths[len(draft.images) :]
    pair = Pair(draft.id or "", own, prompt, chosen, rejected, regions, draft.meta, rejected_images)
    return Checked(where, pair, tuple(hashlib.sha256(data).hexdigest() for _, data in files))


def without_placeholders(prompt: str, images: int) -> str:
    """The prompt's words; it may contain one placeholder for each image. Raises BadRow where words between two of them
    would lose their meaning, since all images are shown before the prompt."""
    parts = [part.strip() for part in prompt.split(IMAGE_PLACEHOLDER)]
    if len(parts) - 1 > images:
        raise BadRow(
            "misplaced image placeholder",
            f"the prompt contains {IMAGE_PLACEHOLDER} {len(parts) - 1} times, for {images} images",
        )
    if any(parts[1:-1]):
        raise BadRow(
            "misplaced image placeholder",
            f"the prompt has words between two {IMAGE_PLACEHOLDER}, but images are shown before all words",
        )
    return " ".join(part for part in parts if part)


def located(image: Any, folder: Path, cache: Path) -> tuple[Path, bytes]:
    """The path of an image, which may have yet to be written, and its encoded bytes."""
    data = image.get("bytes") if isinstance(image, Mapping) else image
    if isinstance(data, bytes):
        return cache / hashlib.sha256(data).hexdigest()[:32], data
    name = image.get("path") if isinstance(image, Mapping) else image
    if not isinstance(name, str) or not name:
        raise BadRow("no image", f"expected a path or bytes, found {type(image).__name__}")
    path = Path(name) if Path(name).is_absolute() else folder / name
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise BadRow("image missing", f"{path} cannot be read ({error.strerror})") from error


def decoded_size(path: Path, data: bytes) -> tuple[int, int]:
    """Width and height of an image that decodes to its end."""
    try:
        with Image.open(io.BytesIO(data)) as file:
            size = file.size
            file.draft("RGB", (size[0] // 8 or 1, size[1] // 8 or 1))  # of a JPEG: reads all of it, computes an eighth
            file.load()
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise BadRow("image unreadable", f"{path} ({str(error) or type(error).__name__})") from error
    return size


def checked_region(region: Any, size: tuple[int, int]) -> Region:
    try:
        name, box = region["name"], tuple(float(edge) for edge in region["box"])
        left, top, right, bottom = box
    except (TypeError, KeyError, ValueError) as error:
        raise BadRow("malformed region", f"expected name and box [x0, y0, x1, y1], found {region!r}") from error
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise BadRow(
            "malformed region", f"box {list(box)} of '{name}' is empty or extends outside the {size[0]}x{size[1]} image"
        )
    return Region(str(name), (left, top, right, bottom))
