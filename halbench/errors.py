"""Errors that the user can fix. The command line prints one line, without a trace, and exits with `code`.

Exit codes of every command: 0 fine; 1 a gate found a regression; 2 wrong input or an incomplete run;
3 a gate could not decide; 70 a bug in halbench (with its trace); 128 + its number after a signal: 130 SIGINT (Ctrl-C),
143 SIGTERM, 129 SIGHUP (repeat the command to resume).
"""

import difflib
import re
from collections.abc import Iterable

OK, REGRESSION, BAD_INPUT_OR_INCOMPLETE, INCONCLUSIVE, BUG, INTERRUPTED = 0, 1, 2, 3, 70, 130

LINE_END = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


class InputError(Exception):
    """Wrong input. The message says what was expected, what was found, where, and what to do."""

    code = BAD_INPUT_OR_INCOMPLETE

    def __str__(self) -> str:
        """One line, whatever is quoted from a file."""
        return LINE_END.sub(lambda found: found[0].encode("unicode_escape").decode(), super().__str__())


class MissingData(InputError):
    """A data file, image or NLTK resource is missing."""


class FolderInUse(InputError):
    """Another process is writing to the folder."""


class MissingExtra(InputError):
    """A package of an optional extra is not installed."""


HF_PACKAGES = ("torch", "transformers", "accelerate", "peft", "safetensors", "PIL")
NOT_OF_FILES = (ConnectionError, TimeoutError, ChildProcessError, ProcessLookupError)
"""OSErrors that say nothing about a file."""


def outside_cause(error: Exception) -> str | None:
    """One-line message for failures that are not halbench bugs (a missing extra, a full disk); None for bugs."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in HF_PACKAGES:
        return f"this needs: pip install 'halbench[hf]' (no module '{error.name}')"
    of_file = isinstance(error, OSError) and error.errno is not None and not isinstance(error, NOT_OF_FILES)
    # safetensors and torch raise errors of their own, without an errno.
    if not of_file and not any(
        text in str(error) for text in ("No space left on device", "PytorchStreamWriter failed")
    ):
        return None
    strerror, name = getattr(error, "strerror", None), getattr(error, "filename", None)
    reason = f"{name}: {strerror}" if name and strerror else strerror or error
    return (
        f"a file cannot be read or written ({reason}). What was written so far is kept; fix this and repeat the command "
        "to resume"
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean "amber"?', or the list of known words if none is similar."""
    known = sorted(known)
    similar = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{similar[0]}'?" if similar else f"; known: {', '.join(known)}"


def first_sentence(error: BaseException) -> str:
    """The first sentence of an exception's message, which may have many lines; its type's name if the message is empty."""
    lines = (line.strip(" :") for line in str(error).splitlines())
    return next((line.split(". ")[0].rstrip(".") for line in lines if line), type(error).__name__)
