"""Which item each row of a response file answers."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.responses.response_files import ID_FIELDS
from halbench.types import Item, ResponseRow

NO_IMAGE = ""
"""In place of the image of a question without one."""


def match_by_id_or_question(items: Sequence[Item], rows: Sequence[ResponseRow], known_ids: str) -> list[str]:
    """Item id of each row: its own id if that is known and the question agrees, else by image and question.

    Other harnesses number the same questions differently, so an id is used only if image and question, where the row has
    them, agree with it. Raises InputError with the row's line. known_ids: the suite's ids, for the message.
    """
    by_id = {item.id: item for item in items}
    key = image_keys(items)
    unmatched = next(
        (row for row in rows if row.id not in by_id or not _same_question(row, by_id[row.id or ""], key)), None
    )
    if unmatched is None:
        return [row.id for row in rows if row.id is not None]
    by_question = match_by_question(items, rows)
    if by_question is not None:
        return by_question
    if unmatched.id is None:
        raise InputError(
            f"line {unmatched.line}: no id; expected one of the fields {', '.join(ID_FIELDS)}, or image and question"
        )
    if unmatched.id not in by_id:
        raise InputError(f"line {unmatched.line}: unknown item '{unmatched.id}'; {known_ids}. Wrong --suite?")
    item = by_id[unmatched.id]
    raise InputError(
        f"line {unmatched.line}: item '{unmatched.id}' asks {item.prompt[:60]!r} about {images_of(item)}, but this row "
        f"answers {(unmatched.prompt or '')[:60]!r} about {unmatched.image}. Wrong --suite or ids?"
    )


def _same_question(row: ResponseRow, item: Item, key: Callable[[str], str]) -> bool:
    """Whether a row's image and question, if it has them, are the item's; the question may have text appended."""
    same_image = row.image is None or any(_same_image(row.image, path, key) for path in item.images)
    # lmms-eval asks AMBER's "Describe this image." without its full stop.
    question = _question(item.prompt).removesuffix(".")
    return same_image and (row.prompt is None or _question(row.prompt).startswith(question))


def _same_image(name: str, path: Path, key: Callable[[str], str]) -> bool:
    """Whether a row's image may be an item's: by their keys, or by as much of the path as the row gives."""
    return key(name) == key(str(path)) or (key is not image_key and str(path).endswith(f"/{name.lstrip('./')}"))


def _question(prompt: str) -> str:
    return prompt.replace("<image>", "").strip()


def match_by_question(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str] | None:
    """Item id of each row by image and question; None if a row lacks them or no item has them.

    A row's question may continue after the item's ("... Answer yes or no."); the longest matching question is taken. If a
    suite asks the same question twice about an image, rows take its items in order.
    """
    key = image_keys(items)
    on_image: dict[str, dict[str, list[str]]] = {}
    for item in items:
        for image in [key(str(path)) for path in item.images] or [NO_IMAGE]:
            on_image.setdefault(image, {}).setdefault(_question(item.prompt), []).append(item.id)
    matches = []
    for row in rows:
        if row.prompt is None:
            return None
        prompt = _question(row.prompt)
        questions = on_image.get(NO_IMAGE if row.image is None else key(row.image), {})
        longest = max((question for question in questions if prompt.startswith(question)), key=len, default=None)
        if longest is None:
            return None
        ids = questions[longest]
        matches.append(ids.pop(0) if len(ids) > 1 else ids[0])
    return matches


def match_by_order(
    items: Sequence[Item], rows: Sequence[ResponseRow], agrees: Callable[[Item, ResponseRow], bool] = lambda *_: True
) -> list[str] | None:
    """Item id of each row by its place: its doc_id in an lmms-eval log, else its place in the file. None unless there is one
    row per item, no row names an image, and every row's question is that of its item. agrees: a further test of a pair.
    """
    if len(rows) != len(items) or any(row.image is not None or row.prompt is None for row in rows):
        return None
    numbers: list[Any] = [row.extra.get("doc_id") for row in rows]
    places = numbers if sorted(map(str, numbers)) == sorted(map(str, range(len(items)))) else range(len(rows))
    matched = [items[int(place)] for place in places]
    fits = all(
        _same_question(row, item, image_key) and agrees(item, row) for row, item in zip(rows, matched, strict=True)
    )
    return [item.id for item in matched] if fits else None


def images_of(item: Item) -> str:
    """The images of an item, for messages."""
    return " and ".join(path.name for path in item.images) or "no image"


def image_keys(items: Sequence[Item]) -> Callable[[str], str]:
    """The key by which a row's image is recognised as an item's: its number if that distinguishes the images of these items
    (see image_key), else its file name, else as many folders above it as are needed."""
    paths = {str(path) for item in items for path in item.images}
    if len({image_key(path) for path in paths}) == len(paths):
        return image_key
    depths = range(1, max(len(Path(path).parts) for path in paths) + 1)
    return partial(
        _end_of_path,
        next(depth for depth in depths if len({_end_of_path(depth, path) for path in paths}) == len(paths)),
    )


def _end_of_path(depth: int, path: str) -> str:
    return "/".join(Path(path).parts[-depth:])


def image_key(name: str) -> str:
    """A key for all spellings of one image: "COCO_val2014_000000339761.jpg", "339761.jpg" and "339761" -> "339761"."""
    stem = Path(name).stem
    digits = stem.rpartition("_")[2]
    return digits.lstrip("0") or "0" if digits.isdigit() else stem


def duplicates(ids: Sequence[str]) -> list[str]:
    """Ids that occur more than once, in order of first occurrence."""
    return [item for item, times in Counter(ids).items() if times > 1]
