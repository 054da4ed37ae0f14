"""Judging without the user's own keys, in an empty run folder."""

from pathlib import Path

import pytest

from halbench.folders.run import RunFolder
from halbench.judging.judge import KEY_VARIABLES


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KEY_VARIABLES, "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.begin({})
    return run
