"""What is not a bug of halbench gets one line, and near misses get a suggestion."""

import errno

import pytest

from halbench.errors import InputError, did_you_mean, first_sentence, outside_cause


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ModuleNotFoundError("x", name="torch.nn"), "this needs: pip install 'halbench[hf]' (no module 'torch.nn')"),
        (OSError(errno.ENOSPC, "No space left on device"), "a file cannot be read or written"),
        (RuntimeError("PytorchStreamWriter failed writing file"), "a file cannot be read or written"),
        (PermissionError(errno.EACCES, "Permission denied"), "repeat the command to resume"),
        (OSError(errno.EFBIG, "File too large", "out/a.json"), "(out/a.json: File too large)"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "aaa"), "(aaa: File name too long)"),
        (OSError(errno.EIO, "I/O error"), "a file cannot be read or written (I/O error)"),
    ],
    ids=["missing extra", "full disk", "torch on a full disk", "no permission", "file limit", "long name", "bad disk"],
)
def test_a_missing_extra_and_a_full_disk_are_no_bugs(error, line):
    assert line in outside_cause(error)


@pytest.mark.parametrize(
    "error",
    [ModuleNotFoundError("x", name="yaml"), ConnectionResetError(errno.ECONNRESET, "reset"), ValueError("x")],
)
def test_other_errors_are_not_explained_away(error):
    assert outside_cause(error) is None


def test_a_suggestion_is_made_only_where_something_is_similar():
    assert did_you_mean("ambr", ["amber", "chair"]) == "; did you mean 'amber'?"
    assert did_you_mean("xyz", ["chair", "amber"]) == "; known: amber, chair"


@pytest.mark.parametrize(
    ("message", "sentence"), [("One. Two.", "One"), ("\n\n  First line: \nsecond", "First line"), ("", "ValueError")]
)
def test_the_first_sentence_of_a_message_or_the_name_of_its_type(message, sentence):
    assert first_sentence(ValueError(message)) == sentence


def test_an_error_is_one_line_whatever_it_quotes():
    assert str(InputError("found a\nb\x85c\u2028d")) == r"found a\nb\x85c\u2028d"
