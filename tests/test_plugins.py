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
