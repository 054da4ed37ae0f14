"""Hashes of pairs and of their variants, by content."""

import hashlib
from collections.abc import Iterable, Sequence

from PIL import Image

from baselines.types import Pair, Variant
from halbench.files.records import content_hash
from halbench.models.images import open_image


def pair_digest(pair: Pair, file_hashes: Sequence[str]) -> str:
    """Hash of a pair without its meta, wherever its images are. file_hashes: of the bytes of its images, then of its
    rejected images."""
    own, rejected = list(file_hashes[: len(pair.images)]), list(file_hashes[len(pair.images) :])
    # One image is its hash itself, as before pairs could have several: so the hashes of known sets stay.
    parts = [pair.id, pair.prompt, pair.chosen, pair.rejected, pair.regions, own[0] if len(own) == 1 else own]
    return content_hash([*parts, *([rejected] if rejected else [])], 64)


def image_hash(image: Image.Image) -> str:
    """Hash of an image's mode, size and pixels."""
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()[:32]


def images_hash(images: Sequence[Image.Image]) -> str:
    """Hash of all images that a model is shown: the image's own hash for one, "" for none."""
    hashes = [image_hash(image) for image in images]
    return content_hash(hashes, 32) if len(hashes) > 1 else "".join(hashes)


def variant_hash(pair: Pair, variant: Variant) -> str:
    """Hash of a variant's images, prompt and answer."""
    shown = variant.images if variant.images is not None else [open_image(path) for path in pair.images]
    return content_hash([images_hash(shown), variant.prompt, variant.answer])


def view_hash(variants: Iterable[tuple[str, str]]) -> str:
    """Hash of all variants of a view, from (pair id, variant_hash) in the order of the pairs: equal exactly if a model
    sees the same."""
    return content_hash([[pair, variant] for pair, variant in variants])
