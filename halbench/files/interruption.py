"""SIGTERM and SIGHUP, as a scheduler or a closed terminal sends them: an exception like that of Ctrl-C, which waits until
a row or a training step is complete.

    with interruptible():                 # around a command
        with uninterrupted() as ending:   # around what must not be torn; a long block asks ending() whether to stop
            ...
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command. code: exit code, 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


class Pending:
    """blocks: how many uninterrupted blocks are open. number: of the signal that waits for them to end, 0 for none."""

    blocks = 0
    number = 0


pending = Pending()


@contextmanager
def interruptible() -> Iterator[None]:
    """A block in which the first SIGTERM or SIGHUP raises Interrupted, and later ones, which may come from several senders,
    do nothing. A signal that is ignored, as under nohup, stays ignored; child processes have the system's handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number in SIGNALS if earlier[number] == signal.SIG_DFL]
    owner = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a fork, such as a loader of training data
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for other in taken:
            signal.signal(other, signal.SIG_IGN)
        pending.number = number
        if not pending.blocks:
            raise Interrupted(number)

    for number in taken:
        signal.signal(number, end)
    try:
        yield
    except Exception as error:
        if pending.number:  # a worker or another rank got the signal too, or the terminal is gone
            raise Interrupted(pending.number) from error
        raise
    finally:
        pending.number = 0
        for number in taken:
            signal.signal(number, earlier[number])


@contextmanager
def uninterrupted() -> Iterator[Callable[[], bool]]:
    """A block that SIGTERM and SIGHUP end only when it is over. Yields whether one has come."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: pending.number != 0
        return
    pending.blocks += 1
    try:
        yield lambda: pending.number != 0
    finally:
        pending.blocks -= 1
    if pending.number and not pending.blocks:
        raise Interrupted(pending.number)
