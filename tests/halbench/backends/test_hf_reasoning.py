"""Thoughts of a checkpoint whose template opens them in the prompt."""

from dataclasses import replace

import pytest
from families import FAMILIES
from noise_images import noise_image

from halbench.backends import hf
from halbench.errors import InputError
from halbench.responses.thoughts import without_thoughts
from halbench.types import BackendOptions, Decoding, Item, Reasoning

ANSWER = Decoding(max_new_tokens=6)


@pytest.fixture(scope="module")
def thinker(tmp_path_factory):
    return str(FAMILIES["qwen3_5"](tmp_path_factory.mktemp("thinker") / "qwen3_5", 0))


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        noise_image((80, 60), 90, seed=number).save(path)
    return [Item(str(number), (path,), "Describe this image.", None, "all") for number, path in enumerate(paths)]


def rows(model: str, items, decoding: Decoding, **options):
    backend = hf.open_backend(model, BackendOptions(device="cpu", dtype="float32", batch_size=4, **options))
    return backend, [without_thoughts(row, decoding.reasoning) for row in backend.generate(items, decoding)]


def test_a_thought_that_the_template_opened_and_that_never_ends_is_unfinished(thinker, items):
    _, answers = rows(thinker, items, ANSWER)
    assert {(row.state, row.text, row.finish) for row in answers} == {("unfinished", "", "length")}
    assert all(row.extra["reasoning"] for row in answers)


def test_thoughts_have_a_budget_of_their_own(thinker, items):
    decoding = replace(ANSWER, reasoning=Reasoning(max_reasoning_tokens=9))
    _, answers = rows(thinker, items, decoding)
    assert {(row.state, row.tokens) for row in answers} == {("unfinished", 9)}


def test_without_thinking_the_answer_is_the_whole_text(thinker, items):
    backend, answers = rows(thinker, items, ANSWER, template_kwargs={"enable_thinking": False})
    assert {row.state for row in answers} == {"ok"}
    assert backend.identity()["template_kwargs"] == "enable_thinking=false"
    decoding = replace(ANSWER, reasoning=Reasoning(max_reasoning_tokens=9))
    _, within = rows(thinker, items, decoding, template_kwargs={"enable_thinking": False})
    assert [row.text for row in within] == [row.text for row in answers], "the suite's budget is the answer's"


def test_a_variable_that_the_template_does_not_have_is_refused(thinker):
    with pytest.raises(InputError, match="has no variable 'enable_thinkin'; did you mean 'enable_thinking'"):
        hf.open_backend(thinker, BackendOptions(device="cpu", template_kwargs={"enable_thinkin": False}))


def test_budgets_of_thoughts_and_beams_exclude_each_other(thinker, items):
    with pytest.raises(InputError, match="num_beams=1"):
        rows(thinker, items, replace(ANSWER, num_beams=2, reasoning=Reasoning(max_reasoning_tokens=9)))
