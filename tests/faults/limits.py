"""Calling the product with damaged input: how it ends, within a time."""

import os
import signal
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from halbench.errors import InputError, outside_cause
from tests.faults.table import Row

T = TypeVar("T")
LIMIT_S = 10.0
BUDGET_S = float(os.environ.get("FAULTS_SECONDS", "1e9"))
STARTED = time.monotonic()


def time_is_up() -> bool:
    """Whether the campaign has used its time; its row then says how many faults were set."""
    return time.monotonic() - STARTED > BUDGET_S


class Hang(BaseException):
    """The call took too long."""


def _hung(number: int, frame: FrameType | None) -> None:
    raise Hang


def guarded(row: Row, what: str, call: Callable[[], T]) -> T | None:
    """What a call returns; None if it was refused, which is noted in `row`, as is what should not happen."""
    signal.signal(signal.SIGALRM, _hung)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        return call()
    except InputError as error:
        if "\n" in str(error) or not str(error):
            row.broke("unclear", f"{what}: {error}")
        else:
            row.note("refused in one line")
    except Hang:
        row.broke("hangs", what)
    except Exception as error:
        if outside_cause(error):
            row.note("refused in one line")
        else:
            last = traceback.extract_tb(error.__traceback__)[-1]
            row.broke(
                "traces", f"{what}: {error!r:.200} in {last.name}, {last.filename.rpartition('/')[2]}:{last.lineno}"
            )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None
