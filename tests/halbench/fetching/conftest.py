"""A web server to fetch from."""

import pytest
from upstream import serving


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def upstream():
    with serving() as server:
        yield server
