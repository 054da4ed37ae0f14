"""Calls from Python that run several suites."""

import pytest
from small_sweeps import opened

import halbench

SETTINGS = {"options": {"scenes": 2, "shapes.questions": 4}, "generation": {"max_new_tokens": 4}, "batch_size": 16}


def test_several_suites_from_python_load_the_model_once(folder, monkeypatch, tmp_path):
    loaded = opened(monkeypatch)
    suites, settings = ["scenes", folder / "shapes.py"], {**SETTINGS, "allow": ("cut", "empty"), "out": tmp_path}
    runs = halbench.run_suites(folder / "llava", suites, images=folder / "images", **settings)
    assert [(run.suite, run.complete, run.path) for run in runs] == [
        ("scenes", True, tmp_path / "scenes"),
        ("shapes", True, tmp_path / "shapes"),
    ]
    assert loaded == ["llava"]


def test_a_suite_that_fails_is_named_after_the_others_have_run(folder, tmp_path):
    suites, settings = [folder / "shapes.py", "scenes"], {**SETTINGS, "allow": ("cut", "empty"), "out": tmp_path}
    with pytest.raises(halbench.InputError, match=r"1 of 2 suites failed: .*shapes.py: none of the 3 images"):
        halbench.run_suites(folder / "llava", suites, images=folder, **settings)
    assert halbench.load(tmp_path / "scenes").complete
    with pytest.raises(halbench.InputError, match="unknown option 'batchsize'"):
        halbench.run_suites(folder / "llava", suites, batchsize=2)
