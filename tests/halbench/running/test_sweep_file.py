"""The file of a sweep: its cells, and mistakes in it, which are named before any model is loaded."""

import re

import pytest
from paths import ROOT
from small_sweeps import written

from halbench.errors import InputError
from halbench.running.several import Suites
from halbench.running.sweep_file import read_sweep


def test_cells_come_model_by_model_each_with_its_own_settings(folder):
    models = {"a": "x", "b": {"model": "y", "batch_size": 2, "backend": "vllm"}}
    suites = {"scenes": None, "half": {"suite": "scenes", "options": {"scenes": 2}, "limit": 3}}
    decodings = {"greedy": None, "thinking": {"num_beams": 2, "max_reasoning_tokens": 9}}
    cells = read_sweep(written(folder, "read", models=models, suites=suites, decodings=decodings))
    places = [str(cell.folder.path.relative_to(folder / "read")) for cell in cells]
    assert places[:4] == ["a/greedy/scenes", "a/greedy/half", "a/thinking/scenes", "a/thinking/half"]
    last = cells[-1]
    assert (last.plan.model, last.plan.backend, last.options.batch_size, last.options.dtype) == (
        "y",
        "vllm",
        2,
        "float32",
    )
    assert (last.plan.limit, last.plan.name, last.plan.gen_kwargs) == (3, "b, thinking", {"num_beams": 2})
    assert (last.choice.suite, last.choice.settings) == ("scenes", ("scenes=2",))
    assert last.plan.reasoning.max_reasoning_tokens == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modles": {}}, "unknown field 'modles'; did you mean 'models'"),
        ({"models": None}, "'models' is needed"),
        ({"models": {"m": {"modle": "x"}}}, "models: m: unknown field 'modle'; did you mean 'model'"),
        ({"models": {"m": {"model": "x", "batch_size": "big"}}}, "models: m: batch_size: expected"),
        ({"models": {"a/b": "x"}}, "models: the name 'a/b' becomes a folder; expected one without slashes"),
        ({"models": {7: "x"}}, "models: the name 7 is read as a int; put it in quotes"),
        ({"suites": {"amberr": None}}, "did you mean 'amber'"),
        ({"suites": {"scenes": {"options": {"scene": 3}}}}, "unknown option 'scene'; did you mean 'scenes'"),
        ({"suites": {"scenes": {"judge": {"modl": "x"}}}}, "suites: scenes: judge: unknown field 'modl'"),
        ({"suites": {"a/x.py": None, "b/x.py": None}}, "two of them would be written to .*/x; give one another name"),
        ({"decodings": {"a": {"max_new_tokens": 0}}}, "max_new_tokens=0: expected a whole number from 1"),
        ({"decodings": {"a": {"max_reasoning_tokens": 0}}}, "max_reasoning_tokens: expected at least 1"),
    ],
)
def test_a_mistake_is_named(folder, changes, message):
    with pytest.raises(InputError, match=message):
        Suites().check(read_sweep(written(folder, "mistake", **changes)))


def test_the_example_and_the_file_in_the_docs_can_be_read(tmp_path):
    cells = read_sweep(ROOT / "experiments/sweep.yaml")
    assert [cell.plan.name for cell in cells] == ["base, published"] * 2 + ["base, short"] * 2
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs/sweeps.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "sweep.yaml").write_text(shown)
    cells = read_sweep(tmp_path / "sweep.yaml")
    assert len(cells) == 3 * 4 * 2
    assert cells[-1].judging.judge.max_usd == 2
