"""`halbench` commands in processes of their own: memory, seeds and threads start clean, and one that dies takes no other with it."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO


def run_to_end(command: Sequence[str], stdout: int | IO[bytes] | None, stderr: int | IO[bytes] | None = None) -> int:
    """Run a command; its exit code, or minus the signal that ended it. It ends when this process does, and completes its row,
    or saves its step, when this process is interrupted."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, preexec_fn=end_with_parent
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def end_with_parent() -> None:
    """On Linux a command dies with the process that started it: left running, it would keep its folder locked against the
    next one."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
