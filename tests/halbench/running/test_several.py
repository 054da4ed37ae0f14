"""Several suites with one model: all checked first, the model loaded once, failures named."""

from dataclasses import replace

import pytest
from small_sweeps import opened

from halbench.errors import InputError
from halbench.evaluation.choice import Acceptance, SuiteChoice
from halbench.judging.options import NO_JUDGING, JudgeOptions, Judging
from halbench.running.plan import Plan
from halbench.running.several import Suites, assigned, reason, run_cell, run_each, suite_cells, suite_names
from halbench.types import BackendOptions

CPU = BackendOptions(device="cpu", dtype="float32", batch_size=16)
ALL = Acceptance(("empty", "cut"))
BROKEN = """
from halbench.types import Response

class Mine:
    opened = 0
    def identity(self):
        return {"model": "mine"}
    def generate(self, items, decoding):
        for item in items:
            if len(items) == 4:
                raise RuntimeError("device lost")
            yield Response(item.id, "yes")

def open_backend(model, options):
    return Mine()
"""


def cells(plan, suites, *settings, judging=NO_JUDGING, images=None, opened_suites=None):
    choice = SuiteChoice(None, images, suites, settings)
    return suite_cells(plan, choice, CPU, judging, ALL, opened_suites or Suites())


def run_all(chosen):
    suites = Suites()
    suites.check(chosen)
    return list(run_each(chosen, suites, run_cell))


def test_several_suites_load_the_model_once_and_write_a_folder_each(folder, monkeypatch, tmp_path):
    loaded = opened(monkeypatch)
    plan = Plan(str(folder / "llava"), out=tmp_path, gen_kwargs={"max_new_tokens": 5})
    both = f"scenes,{folder / 'shapes.py'}"
    first, second = run_all(cells(plan, both, "scenes=3", "shapes.questions=4", images=folder / "images"))
    assert [outcome.result[0].coverage.items for outcome in (first, second)] == [18, 4]
    assert [outcome.result[1].path for outcome in (first, second)] == [tmp_path / "scenes", tmp_path / "shapes"]
    assert loaded == ["llava"]


def test_a_mistake_in_the_last_suite_shows_before_the_model_is_loaded(folder, monkeypatch, tmp_path):
    loaded = opened(monkeypatch)
    plan = Plan(str(folder / "llava"), out=tmp_path)
    with pytest.raises(InputError, match="none of scenes, amber has the option 'similarty'; did you mean 'similarity'"):
        cells(plan, "scenes,amber", "similarty=exact")
    with pytest.raises(InputError, match="unknown suite 'pop'; did you mean 'pope'"):
        cells(plan, "scenes,pop")
    with pytest.raises(InputError, match="'scenes' is named twice"):
        suite_names("scenes,amber,scenes")
    with pytest.raises(InputError, match="max_new_tokens=0"):
        run_all(cells(replace(plan, gen_kwargs={"max_new_tokens": 0}), f"scenes,{folder / 'shapes.py'}", "scenes=2"))
    assert loaded == []


def test_a_judge_that_no_suite_needs_is_refused(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("HALBENCH_JUDGE_API_KEY", raising=False)
    both, judged = f"scenes,{folder / 'shapes.py'}", Judging(JudgeOptions("gpt-4o"))
    with pytest.raises(InputError, match=r"none of scenes, .*shapes.py needs a judge"):
        cells(Plan("m", out=tmp_path), both, "scenes=2", judging=judged, images=folder / "images")


def test_suites_without_images_are_named_at_once_and_the_others_run(folder, tmp_path, capsys):
    plan = Plan(str(folder / "llava"), out=tmp_path, gen_kwargs={"max_new_tokens": 5}, limit=4)
    chosen = cells(plan, f"{folder / 'shapes.py'},scenes", "scenes=2")
    lost, found = run_all(chosen)
    assert "none of the 3 images of shapes exists" in lost.problem
    assert "shapes.py is left out: none of the 3 images" in capsys.readouterr().err.splitlines()[0]
    assert found.result[0].coverage.scored == 4


def test_an_exception_ends_one_suite_and_not_the_others(folder, tmp_path):
    (tmp_path / "mine.py").write_text(BROKEN)
    plan = Plan("m", str(tmp_path / "mine.py"), out=tmp_path / "out")
    both = f"{folder / 'shapes.py'},scenes"
    broken, fine = run_all(cells(plan, both, "questions=4", "scenes=2", images=folder / "images"))
    assert "mine.py:11: RuntimeError: device lost" in broken.problem
    assert fine.result[0].coverage.complete


def test_a_folder_that_another_process_writes_is_left_alone(folder, tmp_path):
    plan = Plan(str(folder / "llava"), out=tmp_path, gen_kwargs={"max_new_tokens": 5}, limit=4)
    both = f"scenes,{folder / 'shapes.py'}"
    chosen = cells(plan, both, "scenes=2", images=folder / "images")
    with chosen[0].folder.lock():
        first, second = run_all(chosen)
    assert (first.in_use, first.result, second.in_use) == (True, None, False)
    assert second.result[0].coverage.scored == 4


def test_an_option_goes_to_the_suites_that_have_it_or_to_the_one_it_names():
    given = ("captions=pattern", "answers=strict", "amber.similarity=spacy")
    assert assigned(["amber", "chair"], given) == {
        "amber": ("answers=strict", "similarity=spacy"),
        "chair": ("captions=pattern",),
    }


def test_an_exception_that_nobody_foresaw_is_a_line_and_its_trace_is_printed(capsys):
    try:
        raise RuntimeError("device lost. Try again")
    except RuntimeError as error:
        line = reason(error)
    assert line == "RuntimeError: device lost (not foreseen; its trace is above)"
    assert "  Traceback (most recent call last):" in capsys.readouterr().err
