"""A file of the user's own works wherever a name does, and what is wrong in it is told in one line."""

import pytest

from halbench import plugins
from halbench.errors import InputError


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nothing_of_that_name", r"mine.py:1: ModuleNotFoundError: No module named 'nothing_of_that_name'\)$"),
        ("x = 1\nraise ValueError('not so')", r"mine.py:2: ValueError: not so\)$"),
        ("def f(:", r"mine.py:1: not valid Python"),
    ],
    ids=["a missing module", "an error of its own", "no Python"],
)
def test_a_file_that_cannot_be_imported_is_the_user_s_to_mend(tmp_path, source, told):
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(InputError, match=told):
        plugins.load("halbench.suites", str(path))


def test_a_name_that_is_nearly_right_gets_a_suggestion():
    with pytest.raises(InputError, match="unknown suite 'ambr'; did you mean 'amber'"):
        plugins.load("halbench.suites", "ambr")


def loaded(tmp_path, source):
    path = tmp_path / "mine.py"
    path.write_text(source)
    return plugins.load("halbench.suites", str(path))


def test_what_a_plugin_must_define_is_returned_or_named_as_missing(tmp_path):
    module = loaded(tmp_path, "A, B = 1, 2")
    assert plugins.required(module, "A") == 1
    assert plugins.required(module, "A", "B") == (1, 2)
    with pytest.raises(InputError, match=r"mine\.py: does not define C or D; a plugin of this kind defines A, C, D"):
        plugins.required(module, "A", "C", "D")


def test_a_value_of_another_type_is_refused_with_its_place():
    assert plugins.checked(3, int, "mine.py: f()") == 3
    with pytest.raises(InputError, match=r"mine\.py: f\(\): expected int, found str"):
        plugins.checked("3", int, "mine.py: f()")


def raised_by(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return plugins.users_mistake(error)
    return None


def test_an_exception_of_a_user_s_file_is_theirs_in_one_line(tmp_path):
    module = loaded(tmp_path, "def f(x):\n    return x.nothing\n")
    line = raised_by(module.f, 3)
    assert line is not None
    assert line.endswith(
        "mine.py:2: AttributeError: 'int' object has no attribute 'nothing' (in your suite, line: return x.nothing)"
    )


def test_an_exception_that_a_user_s_file_led_to_is_theirs_too(tmp_path):
    module = loaded(tmp_path, "import json\n\ndef f(x):\n    return json.loads(x)\n")
    assert "mine.py:4: JSONDecodeError: " in raised_by(module.f, "{")


def test_a_message_of_several_lines_becomes_one(tmp_path):
    module = loaded(tmp_path, "def f():\n    raise ValueError('one\\n  two')\n")
    assert "mine.py:2: ValueError: one two (in your suite" in raised_by(module.f)


def test_an_exception_of_ours_is_nobody_else_s(tmp_path):
    loaded(tmp_path, "x = 1")
    assert raised_by(plugins.names, "no.package") is None


def test_an_import_that_fails_deep_inside_is_named_by_the_line_of_the_user_s_file(tmp_path):
    source = "from halbench.types import Item\n\nItem('1', 'a.jpg', '?', None, 'all')\n"
    with pytest.raises(InputError, match=r"mine\.py:3: TypeError: Item\.images: expected a tuple"):
        loaded(tmp_path, source)


def test_the_line_of_a_function_is_known_without_reading_its_file(tmp_path):
    # It is asked for every response that is scored, and reading the function's text each time took 1.4 ms of it.
    function = {}
    exec(compile("\n\ndef score(): ...", tmp_path / "gone.py", "exec"), function)
    assert plugins.source_line(function["score"]) == f"{tmp_path / 'gone.py'}:3"
