"""What tests share: the real suite data, where it is at hand, and a way to call the command line."""

import os
import subprocess
from pathlib import Path

import pytest
from in_process import run_in_process

from halbench.data.datasets import Data

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
    """Call the command line in the test's own folder: halbench("score", ...) -> CompletedProcess with text output.

    It runs in the test's process, which saves the seconds of starting one.
    """

    def call(*arguments: object, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(cwd)
            return run_in_process(*arguments)

    return call
