"""Backends whose extra is not installed, and names with a colon that a backend does not take."""

import sys

import pytest

from halbench import plugins
from halbench.errors import MissingExtra


def test_without_lmms_eval_the_line_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "lmms_eval"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lmms_eval", None)
    monkeypatch.delitem(sys.modules, "halbench.backends.lmms", raising=False)
    with pytest.raises(MissingExtra, match=r"backend 'lmms' needs: pip install 'halbench\[lmms-eval\]'"):
        plugins.load("halbench.backends", "lmms")


def test_a_backend_that_takes_nothing_after_a_colon_says_so(halbench, tmp_path):
    (tmp_path / "answers.jsonl").write_text('{"id": "0/description", "response": "A dog."}\n')
    done = halbench("run", "--backend", "replay:x", "--model", "answers.jsonl", "--suite", "scenes")
    assert (done.returncode, done.stderr) == (
        2,
        "halbench: --backend replay:x: backend 'replay' takes nothing after its name; use --backend replay\n",
    )
