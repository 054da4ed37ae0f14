"""The images of a pair, opened for a view that alters them."""

from PIL import Image

from baselines.types import Pair
from halbench.errors import InputError
from halbench.models.images import open_image


def altered_images(pair: Pair, view: str) -> list[Image.Image]:
    """The images of a pair, for a view that alters each of them. Raises InputError for a pair of text alone."""
    if not pair.images:
        raise InputError(f"pair {pair.id} has no image, but view '{view}' alters images")
    return [open_image(path) for path in pair.images]


def only_image(pair: Pair, view: str) -> Image.Image:
    """The image of a pair, for a view that needs exactly one. Raises InputError for a pair of none or several."""
    if len(pair.images) != 1:
        raise InputError(f"pair {pair.id} has {len(pair.images)} images, but view '{view}' needs pairs with one")
    return open_image(pair.images[0])
