"""Opening images: one way for every backend, trainer and page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from halbench.errors import first_sentence
from halbench.types import Item


def open_image(path: Path) -> Image.Image:
    """An image as RGB, exactly as it is stored; EXIF rotation is not applied, as in the official scripts. 16-bit grey is
    scaled to 8 bits, which Pillow would clip to white. Raises ValueError if values have no known range (32 bits, floats).
    """
    with Image.open(path) as file:
        if file.mode in ("I", "F"):
            raise ValueError("expected 8 or 16 bits per channel, found 32")
        if file.mode.startswith("I;16"):
            return file.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L").convert("RGB")
        return file.convert("RGB")


@dataclass(frozen=True)
class OpenedImages:
    """The images of some items, each opened once. problems: what is wrong with those that could not be opened."""

    images: Mapping[Path, Image.Image]
    problems: Mapping[Path, str]

    def of(self, item: Item) -> list[Image.Image]:
        """The images of an item without problems, in its order."""
        return [self.images[path] for path in item.images]

    def problem(self, item: Item) -> str | None:
        """What is wrong with the first image of an item that could not be opened; None if all could."""
        return next((self.problems[path] for path in item.images if path in self.problems), None)


def open_images(items: Sequence[Item]) -> OpenedImages:
    """The images of all items as RGB."""
    images: dict[Path, Image.Image] = {}
    problems: dict[Path, str] = {}
    for path in dict.fromkeys(path for item in items for path in item.images):
        try:
            images[path] = open_image(path)
        except FileNotFoundError:
            problems[path] = f"image not found: {path}"
        except Exception as error:  # decoders of damaged files raise nearly anything; every one of them is a row
            problems[path] = f"image cannot be read: {path} ({first_sentence(error)})"
    return OpenedImages(images, problems)
