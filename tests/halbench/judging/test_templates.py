"""Prompt texts of judges: ours, the authors', and how they are filled in."""

from pathlib import Path

import pytest

from halbench.errors import InputError
from halbench.judging.templates import fill, read_template


def test_our_prompts_take_the_values_they_name() -> None:
    values = {
        "image_contents": "dog, rug",
        "question": "What {is} it?",
        "human_answer": "A dog.",
        "response": "A {} {dog}",
    }
    text = fill(read_template(None, "mmhal_judge"), values)
    assert all(value in text for value in values.values())
    assert text.endswith("Rating: N")
    text = fill(read_template(None, "object_extraction"), {"question": "Q {answer}", "answer": "A {question}"})
    assert "Q {answer}" in text
    assert "A {question}" in text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{a} then {b} then {a}", "1{b} then 2 then 1{b}"),
        ("{} then {}", "1{b} then 2"),
        ('{{"x": {a}}} {b} { y }', '{"x": 1{b}} 2 { y }'),
    ],
)
def test_a_template_is_filled_by_name_or_in_order_and_values_stay_as_they_are(template: str, text: str) -> None:
    assert fill(template, {"a": "1{b}", "b": "2"}) == text


@pytest.mark.parametrize(
    "template", ["no placeholder", "{a}", "{}", "{} {} {}", "{a} {b} {c}", "{a} {b} {}", "{0} {1}"]
)
def test_a_template_with_other_placeholders_is_refused(template: str) -> None:
    with pytest.raises(InputError, match=r"expected the placeholders \{a\}, \{b\} \(or \{\} 2 times"):
        fill(template, {"a": "1", "b": "2"})


@pytest.mark.parametrize("name", ["template", "prompt_template"])
def test_the_prompt_of_an_authors_script_is_read_and_the_script_never_run(tmp_path: Path, name: str) -> None:
    script = tmp_path / "eval.py"
    script.write_text(f"raise SystemExit('run')\nother = 'x'\n{name} = '''Grade\n{{}}\n'''\nif __name__: pass\n")
    assert read_template(script, "mmhal_judge") == "Grade\n{}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1", "expected one string assigned to template or prompt_template, found 0"),
        ("template = 'a'\nprompt_template = 'b'", "found 2"),
        ("print 'a'", r"eval\.py:1: not valid Python"),
    ],
)
def test_a_script_without_one_prompt_is_refused(tmp_path: Path, text: str, line: str) -> None:
    script = tmp_path / "eval.py"
    script.write_text(text)
    with pytest.raises(InputError, match=line):
        read_template(script, "mmhal_judge")


def test_the_error_names_a_missing_prompt_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"judge prompt .*mine\.txt cannot be read"):
        read_template(tmp_path / "mine.txt", "mmhal_judge")
