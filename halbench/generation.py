"""From items to responses.jsonl, so that a killed run goes on where it stopped.

The file is only ever appended to. An item that failed is asked again by the next run, so an item can have several rows;
its last one counts, and a finished answer ("ok" or "empty") is never asked for again. The caller holds
`folder.lock()`, so that two processes never write one file.

    {"item": "7", "text": "", ..., "state": "error", "error": "image not found: images/AMBER_7.jpg"}
    {"item": "7", "text": "A dog runs.", "tokens": 5, "finish": "stop", "state": "ok", "error": null, "extra": {}}
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from halbench.errors import InputError
from halbench.run_folder import RunFolder
from halbench.types import Backend, Decoding, Item, Response

Progress = Callable[[int, int], AbstractContextManager[Callable[[Response], None]]]
"""progress(total, already finished) opens a display, which is then told of every new response."""

SECONDS_BETWEEN_LINES = 30.0


def generate(
    items: Sequence[Item], backend: Backend, decoding: Decoding, folder: RunFolder, progress: "Progress | None" = None
) -> list[Response]:
    """One response per item, in the order of `items`: those that the folder holds, and new ones for the rest.

    Raises InputError where the folder holds answers to other items. What the backend raises passes through, with the
    rows so far on disk.
    """
    known = {item.id for item in items}
    if len(known) != len(items):
        raise ValueError("two items have the same id")
    # Appending first: it cuts off a torn last line, which must not count as an answer when the file is read.
    with folder.appending(folder.responses_path) as writer:
        rows = latest(folder.read(Response, folder.responses_path))
        if foreign := next((id for id in rows if id not in known), None):
            raise InputError(
                f"{folder.responses_path}: holds a response to item '{foreign}', which is none of the {len(items)} items "
                "of this run. Choose another --out, or remove it"
            )
        rest = by_image(item for item in items if item.id not in rows or rows[item.id].state == "error")
        with (progress or progress_on_stderr)(len(items), len(items) - len(rest)) as show:
            for response in complete(rest, backend.generate(rest, decoding) if rest else iter(())):
                writer.write(response)
                rows[response.item] = response
                show(response)
    return [rows[item.id] for item in items]


def latest(rows: Iterable[Response]) -> dict[str, Response]:
    """The last row of each item."""
    return {row.item: row for row in rows}


def by_image(items: Iterable[Item]) -> list[Item]:
    """The same items with those of one image together, images in order of first appearance."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(str(item.image), []).append(item)
    return [item for group in groups.values() for item in group]


def complete(items: Sequence[Item], responses: Iterator[Response]) -> Iterator[Response]:
    """The responses as they come, then an error row for each item that got none. An answer to an item that is not
    waiting for one is a bug of the backend."""
    waiting = dict.fromkeys(item.id for item in items)
    for response in responses:
        if response.item not in waiting:
            raise RuntimeError(
                f"the backend answered item '{response.item}', which was not asked or is answered already"
            )
        del waiting[response.item]
        yield response
    for id in waiting:
        yield Response(id, "", state="error", error="the backend gave no answer")


def progress_on_stderr(total: int, finished: int) -> AbstractContextManager[Callable[[Response], None]]:
    """A bar with rate and time left on a terminal; elsewhere a plain line every half minute."""
    return progress_bar(total, finished) if sys.stderr.isatty() else progress_lines(total, finished)


@contextmanager
def silence(total: int, finished: int) -> Iterator[Callable[[Response], None]]:
    """No display: another process shows how it goes."""
    yield lambda response: None


@contextmanager
def progress_bar(total: int, finished: int) -> Iterator[Callable[[Response], None]]:
    """A rich bar, for people."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("responses"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f}/s"),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[errors]}"),
    )
    begun, new, errors = time.monotonic(), 0, 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("responses", total=total, completed=finished, rate=0.0, errors="")

        def show(response: Response) -> None:
            nonlocal new, errors
            new, errors = new + 1, errors + (response.state == "error")
            rate = new / max(time.monotonic() - begun, 1e-9)
            bar.update(task, advance=1, rate=rate, errors=f"{errors} errors" if errors else "")

        yield show


@contextmanager
def progress_lines(
    total: int, finished: int, seconds: float = SECONDS_BETWEEN_LINES
) -> Iterator[Callable[[Response], None]]:
    """One line now and then, for log files."""
    begun = last = time.monotonic()
    new, errors = 0, 0

    def show(response: Response) -> None:
        nonlocal last, new, errors
        new, errors = new + 1, errors + (response.state == "error")
        now = time.monotonic()
        if now - last >= seconds or finished + new == total:
            rate = new / max(now - begun, 1e-9)
            left = (total - finished - new) / rate
            print(
                f"halbench: {finished + new} of {total} responses, {errors} errors, {rate:.1f}/s, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
            last = now

    yield show
