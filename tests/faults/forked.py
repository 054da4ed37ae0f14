"""The command line in a fork of this process, which has imported what it needs: it starts in milliseconds, so that kills fall
on its work and not on its imports."""

import ctypes
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from halbench import cli
from halbench.errors import BUG

OTHERS_FIRST = (
    "numpy",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "pandas",
    "scipy.stats",
    "PIL.Image",
    "openai",
    "jinja2",
    "importlib.readers",
)
OURS = (
    "halbench.",
    "baselines.",
    "reports.",
    "transformers.models.auto",
    "transformers.models.llava",
    "peft.tuners.lora",
)
TRACE = b"Traceback (most recent call last)"


def fork(work: Callable[[], Any], output: Path) -> int:
    """A child in a group of its own that does `work`, its output appended to a file; its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(file, stream)
        code = int(work() or 0)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        for written in (sys.stdout, sys.stderr):
            with suppress(OSError):
                written.flush()
        os._exit(code)


def command(arguments: Sequence[object]) -> Callable[[], None]:
    """The work of `halbench` with these arguments."""

    def work() -> None:
        sys.argv = ["halbench", *map(str, arguments)]
        cli.main()

    return work


def wait(pid: int, seconds: float) -> int | None:
    """The exit code of a child (minus the signal's number); None if it still runs after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def kill(pid: int) -> None:
    """SIGKILL to a child and everything it started."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def warm_up(work: Callable[[], Any], folder: Path) -> float:
    """Do `work` in a child and import here what it imported; how long it took. Nothing is computed in this process, so that no
    thread is there when it forks."""
    names = folder / "modules"

    def listing() -> None:
        try:
            work()
        finally:
            names.write_text("\n".join(sys.modules))

    started = time.monotonic()
    code = wait(fork(listing, folder / "warm.log"), 600)
    if code:
        raise RuntimeError((folder / "warm.log").read_text()[-3000:])
    took = time.monotonic() - started
    used = set(names.read_text().splitlines())
    ordered = [
        *(name for name in OTHERS_FIRST if name in used),
        *sorted(name for name in used if name.startswith(OURS)),
    ]
    for name in ordered:
        importlib.import_module(name)
    return took


class ForkedStep:
    """A step of an ablation as subprocess.Popen starts it, but forked. It ends with its parent, as the real one."""

    def __init__(self, arguments: Sequence[str], stdout: Any, **others: Any) -> None:
        parent = os.getpid()

        def work() -> None:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            if os.getppid() != parent:
                os._exit(BUG)
            command(arguments[3:])()  # after "python -m halbench"

        self.pid = fork(work, Path(stdout.name))

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
