"""Tiny checkpoints and pictures for the tests of this folder, and no settings from outside."""

import pytest
from tiny_backends import checkpoints, images, items  # noqa: F401

from halbench.folders.run import RunFolder


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path):
    """An empty run folder."""
    run = RunFolder(tmp_path / "run")
    run.begin({})
    return run
