"""A batch of items before a model sees it: images opened, unanswerable items set aside, the next batch prepared ahead."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image

from halbench.models.images import open_images
from halbench.types import Item, Response

Batch = TypeVar("Batch")
Prepared = TypeVar("Prepared")


@dataclass(frozen=True)
class Questions:
    """The items of a batch that a model can be asked, their images [one list per item], and error rows for the others."""

    items: Sequence[Item]
    images: Sequence[list[Image.Image]]
    errors: Sequence[Response]


def open_questions(items: Sequence[Item], image_tokens: Sequence[str]) -> Questions:
    """The items with their images opened. An item becomes an error row if an image of it cannot be opened, or if its
    prompt contains one of the model's image tokens, which the model would take for a further image."""
    opened = open_images(items)
    errors = []
    for item in items:
        token = next((token for token in image_tokens if token in item.prompt), None)
        if (problem := opened.problem(item)) is None and token is not None:
            problem = f"the prompt contains the model's image token '{token}'"
        if problem is not None:
            errors.append(Response(item.id, "", state="error", error=problem))
    failed = {row.item for row in errors}
    valid = [item for item in items if item.id not in failed]
    return Questions(valid, [opened.of(item) for item in valid], errors)


def prepared_ahead(
    batches: Iterator[Batch], prepare: Callable[[Batch], Prepared]
) -> Iterator[tuple[Batch, Callable[[], Prepared]]]:
    """Each batch with a call that returns (or raises) what `prepare` makes of it. While the caller works on a batch, the
    next one is prepared in a thread."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        current: tuple[Batch, Callable[[], Prepared]] | None = None
        for batch in batches:
            future = reader.submit(prepare, batch)
            if current is not None:
                yield current
            current = batch, future.result
        if current is not None:
            yield current
