"""The command line in the test's own process, which saves the seconds of starting one and importing torch."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from halbench.cli import main


def run_in_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """What `halbench` prints with these arguments, and its exit code."""
    command = ["halbench", *map(str, arguments)]
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        patch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
    return subprocess.CompletedProcess(command, int(ended.value.code or 0), out.getvalue(), err.getvalue())
