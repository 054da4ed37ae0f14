"""Progress of long work on stderr: a bar on a terminal, a plain line every half minute in a log file.

    with progress("responses", total=1004, done=120) as steps:
        for response in responses:
            steps.advance(note="3 errors")

    halbench: responses: 480 of 1004, 4.1/s, 2 min 8 s left, 3 errors

Several may be open at once. Of several processes started by torchrun, only the first shows progress.
"""

import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from halbench.terminal.lines import one_line, visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 30.0

Unit = Literal["", "bytes"]


class Steps(Protocol):
    """A progress display."""

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """`count` more are done. note: text shown after the numbers from now on; None keeps the last one."""
        ...

    def set_total(self, total: int) -> None:
        """Set the total, if it becomes known only on the way."""
        ...


@contextmanager
def progress(what: str, total: int | None = None, done: int = 0, unit: Unit = "") -> Iterator[Steps]:
    """Show how many of `total` (None: unknown) are done. done: how many were finished before."""
    what = one_line(what)
    if os.environ.get("RANK", "0") != "0":
        yield Silent()
    elif sys.stderr.isatty():
        with bars() as display:
            yield Bar(display, what, total, done)
    else:
        lines = Lines(what, total, done, unit)
        yield lines
        lines.end()


def tracked(steps: Sequence[T], what: str) -> Iterator[T]:
    """The steps one by one, with a display of how many are done."""
    with progress(what, len(steps)) as display:
        for step in steps:
            yield step
            display.advance()


def say(line: object) -> None:
    """Print one line on stderr, above any bar, without what a terminal would act on."""
    line = f"halbench: {one_line(line)}"
    if shared.display is not None:
        shared.display.console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)
    else:
        print(line, file=sys.stderr, flush=True)


def say_trace() -> None:
    """Print the trace of the exception at hand on stderr, indented: a line of its message cannot pass for one of ours."""
    for line in traceback.format_exc().splitlines():
        sys.stderr.write(f"  {visible(line)}\n")


class Silent:
    """No display."""

    def advance(self, count: int = 1, note: str | None = None) -> None:
        pass

    def set_total(self, total: int) -> None:
        pass


class Lines:
    """One line per interval, for log files, and one at the end."""

    def __init__(self, what: str, total: int | None, done: int, unit: Unit) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.before = self.done = self.shown = done
        self.note = ""
        self.begun = self.last = time.monotonic()
        self.lock = Lock()

    def advance(self, count: int = 1, note: str | None = None) -> None:
        with self.lock:
            self.done += count
            self.note = self.note if note is None else one_line(note)
            if time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
                self.last = time.monotonic()
                self.show()

    def set_total(self, total: int) -> None:
        self.total = total

    def end(self) -> None:
        """Print the last line, unless nothing was done since the line before."""
        if self.done > self.shown:
            self.show()

    def show(self) -> None:
        """Print how many are done now."""
        self.shown = self.done
        print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """ "halbench: responses: 480 of 1004, 4.1/s, 2 min 8 s left"."""
        rate = (self.done - self.before) / max(time.monotonic() - self.begun, 1e-9)
        parts = [f"{self.amount(self.done)}{'' if self.total is None else f' of {self.amount(self.total)}'}"]
        parts.append(f"{self.amount(rate)}/s" if self.unit == "bytes" else f"{rate:.1f}/s")
        if self.total is not None and rate and self.done < self.total:
            parts.append(f"{duration((self.total - self.done) / rate)} left")
        return f"halbench: {self.what}: {', '.join([*parts, *([self.note] if self.note else [])])}"

    def amount(self, count: float) -> str:
        """A number of steps, or of bytes as "12.3 MB"."""
        return f"{count / 1e6:,.1f} MB" if self.unit == "bytes" else f"{count:,.0f}"


class Bar:
    """One bar of the shared display."""

    def __init__(self, display: "Bars", what: str, total: int | None, done: int) -> None:
        self.display, self.before, self.begun = display, done, time.monotonic()
        self.task = display.add_task(what, total=total, completed=done, note="", rate="")
        self.done = done
        self.lock = Lock()

    def advance(self, count: int = 1, note: str | None = None) -> None:
        with self.lock:
            self.done += count
            rate = (self.done - self.before) / max(time.monotonic() - self.begun, 1e-9)
        fields: dict[str, Any] = {} if note is None else {"note": one_line(note)}
        self.display.update(self.task, advance=count, rate=f"{rate:.1f}/s" if rate < 1000 else "", **fields)

    def set_total(self, total: int) -> None:
        self.display.update(self.task, total=total)


class Shared:
    """The display of this process while at least one bar is open."""

    display: "Bars | None" = None
    users = 0
    lock = Lock()


shared = Shared()


@contextmanager
def bars() -> Iterator["Bars"]:
    """The shared display; the first bar opens it and the last one closes it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Done(MofNCompleteColumn):
        """ "120/1004"; large numbers, such as bytes, in millions."""

        def render(self, task: Any) -> Text:
            if not task.total or task.total < 1e7:
                return super().render(task)
            return Text(f"{task.completed / 1e6:,.1f}/{task.total / 1e6:,.1f} M")

    with shared.lock:
        if shared.display is None:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                Done(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False, style="red"),
            )
            shared.display = Progress(*columns, console=Console(stderr=True))
            shared.display.start()
        shared.users += 1
        display = shared.display
    try:
        yield display
    finally:
        with shared.lock:
            shared.users -= 1
            if not shared.users:
                display.stop()
                shared.display = None


def duration(seconds: float) -> str:
    """ "2 h 10 min", "3 min 35 s", "12 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
