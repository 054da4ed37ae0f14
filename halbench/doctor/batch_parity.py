"""Whether a model gives the same answers one by one and in batches."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from halbench import plugins
from halbench.errors import InputError
from halbench.types import BackendOptions, Decoding, Item, Response

NEW_TOKENS = 64
QUESTIONS = (
    "Describe this image.",
    "What is this?",
    "Is there a circle in the image?",
    "Please describe this image in detail, from the left to the right, and say which colours and shapes you see.",
    "How many shapes are there?",
)


@dataclass(frozen=True)
class Difference:
    """A question with two different answers."""

    image: str
    prompt: str
    alone: str
    in_batch: str


@dataclass(frozen=True)
class Parity:
    """How many of `items` answers are the same one by one and in batches. Failed answers never count as the same."""

    model: str
    items: int
    batch_size: int
    identical: int
    first_difference: Difference | None


def check_batch_parity(model: str, count: int, batch_size: int, images: Path | None, options: BackendOptions) -> Parity:
    """Answers to `count` questions at batch size 1 against those at `batch_size`."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = images_in(images) if images else draw_shapes(count, Path(folder))
        items = make_items(pictures, count)
        alone = generate_answers(model, items, replace(options, batch_size=1))
        batched = generate_answers(model, items, replace(options, batch_size=batch_size))
    return compare_answers(model, items, batch_size, alone, batched)


def compare_answers(
    model: str,
    items: Sequence[Item],
    batch_size: int,
    alone: Mapping[str, Response],
    batched: Mapping[str, Response],
) -> Parity:
    """The parity of two sets of responses (item id -> response) to the same items."""
    differences = []
    for item in items:
        one, other = alone[item.id], batched[item.id]
        if one.text != other.text or "error" in (one.state, other.state):
            differences.append(Difference(item.cluster, item.prompt, text_or_error(one), text_or_error(other)))
    return Parity(model, len(items), batch_size, len(items) - len(differences), differences[0] if differences else None)


def text_or_error(response: Response) -> str:
    """An answer's text, or its error in angle brackets."""
    return response.text if response.error is None else f"<error: {response.error}>"


def generate_answers(model: str, items: Sequence[Item], options: BackendOptions) -> dict[str, Response]:
    """Item id -> greedy response of the transformers backend. The model is loaded anew, and freed at the end."""
    backend = plugins.load("halbench.backends", "hf").open_backend(model, options)
    return {response.item: response for response in backend.generate(items, Decoding(max_new_tokens=NEW_TOKENS))}


def make_items(pictures: Sequence[Path], count: int) -> list[Item]:
    """`count` questions about the pictures, with prompts of different lengths, so that batches need padding."""
    return [
        Item(str(n), (pictures[n % len(pictures)],), QUESTIONS[n % len(QUESTIONS)], None, "all") for n in range(count)
    ]


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder, sorted. Raises InputError if there are none."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    images = [path for path in paths if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")]
    if not images:
        raise InputError(f"--images {folder}: expected a folder with .jpg or .png files")
    return images


def draw_shapes(count: int, folder: Path) -> list[Path]:
    """Pictures of coloured shapes in three sizes, written into the folder; the same on every machine."""
    from random import Random

    from PIL import Image, ImageDraw

    paths = []
    for number in range(count):
        random = Random(number)
        width, height = random.choice([(320, 240), (240, 320), (300, 300)])
        picture = Image.new("RGB", (width, height), random.choice(["white", "lightblue", "lightgrey"]))
        pen = ImageDraw.Draw(picture)
        for _ in range(random.randint(1, 4)):
            left, top, size = random.randint(0, width - 80), random.randint(0, height - 80), random.randint(30, 80)
            shape = random.choice([pen.ellipse, pen.rectangle])
            shape((left, top, left + size, top + size), fill=random.choice(["red", "green", "blue", "yellow", "black"]))
        path = folder / f"shapes_{number}.png"
        picture.save(path)
        paths.append(path)
    return paths
