"""The snippets of docs/python.md, run in their order as one notebook would run them."""

import pytest
from doc_examples import examples


@pytest.mark.slow
def test_the_page_on_python_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = {}
    for snippet in examples("python.md"):
        exec(compile(snippet, "docs/python.md", "exec"), notebook)
    run, terse = notebook["run"], notebook["terse"]
    assert run.complete
    assert notebook["again"].frame().equals(run.frame())
    assert {"value", "low", "high", "n", "official"} <= set(notebook["metrics"].columns)
    assert len(notebook["items"]) == len(run.scores) == len(terse.scores)
    assert notebook["change"].frame()["verdict"].eq("worse").any()
    assert notebook["verdict"].outcome == "regression"
    assert notebook["page"].written[0].read_text().startswith("<!doctype html>")
