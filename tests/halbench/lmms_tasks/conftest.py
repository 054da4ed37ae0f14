"""No settings from outside, and an empty folder for what is written."""

import pytest
from lmms_answers import no_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    no_settings(monkeypatch, tmp_path)
