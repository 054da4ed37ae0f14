"""What tests share: the real suite data, where it is at hand, and a way to call the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from halbench.datasets import Data

if os.environ.get("HALBENCH_DATA"):
    # Some tests run the command line in another folder, where a relative path would mean another place.
    os.environ["HALBENCH_DATA"] = str(Path(os.environ["HALBENCH_DATA"]).resolve())


@pytest.fixture(scope="session")
def data() -> Data:
    """The folder with the suites' data, real responses and the official scorers' outputs (HALBENCH_DATA)."""
    root = os.environ.get("HALBENCH_DATA")
    if not root or not (Path(root) / "expected").is_dir():
        pytest.skip("needs HALBENCH_DATA with the suites' data, real responses and the official scorers' outputs")
    return Data(Path(root))


@pytest.fixture
def halbench(tmp_path: Path):
    """Run the command line in the test's own folder: halbench("score", ...) -> CompletedProcess with text output."""

    def call(*arguments: object, timeout: float = 120, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "halbench", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout)

    return call
