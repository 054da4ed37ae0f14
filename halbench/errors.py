"""Errors that the user can fix. The command line prints one line, without a trace, and exits with `code`.

Exit codes of every command: 0 fine; 1 a gate found a regression; 2 wrong input or an incomplete run;
3 a gate could not decide; 70 a bug in halbench (with its trace); 130 interrupted (repeat the command to resume).
"""

import difflib
import errno
from collections.abc import Iterable

OK, REGRESSION, BAD_INPUT_OR_INCOMPLETE, INCONCLUSIVE, BUG, INTERRUPTED = 0, 1, 2, 3, 70, 130


class InputError(Exception):
    """Wrong input. The message says what was expected, what was found, where, and what to do."""

    code = BAD_INPUT_OR_INCOMPLETE


class MissingData(InputError):
    """A data file, image or NLTK resource is missing."""


class MissingExtra(InputError):
    """A package of an optional extra is not installed."""


HF_PACKAGES = ("torch", "transformers", "accelerate", "peft", "safetensors", "PIL")
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def outside_cause(error: Exception) -> str | None:
    """One-line message for failures that are not halbench bugs (a missing extra, a full disk); None for bugs."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in HF_PACKAGES:
        return f"this needs: pip install 'halbench[hf]' (no module '{error.name}')"
    # safetensors and torch raise errors of their own, without an errno.
    full = "No space left on device" in str(error) or "PytorchStreamWriter failed" in str(error)
    if full or (isinstance(error, OSError) and error.errno in DISK_ERRORS):
        return (
            f"a file cannot be read or written ({error}). What was written so far is kept; fix this and repeat the command "
            "to resume"
        )
    return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean "amber"?', or the list of known words if none is similar."""
    known = sorted(known)
    similar = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{similar[0]}'?" if similar else f"; known: {', '.join(known)}"


def first_sentence(error: BaseException) -> str:
    """The first sentence of an exception's message, which may have many lines; its type's name if the message is empty."""
    lines = (line.strip(" :") for line in str(error).splitlines())
    return next((line.split(". ")[0].rstrip(".") for line in lines if line), type(error).__name__)
