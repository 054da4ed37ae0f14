"""What can go wrong in a way the user can mend. The CLI prints one line and exits with `code`; no trace.

Exit codes of every command: 0 fine; 1 a gate found a regression; 2 wrong input or an incomplete run;
3 a gate could not decide; 70 a bug in halbench (with its trace); 130 interrupted (run the command again to go on).
"""

import difflib
import errno
from collections.abc import Iterable

OK, REGRESSION, INCOMPLETE, INCONCLUSIVE, BUG, INTERRUPTED = 0, 1, 2, 3, 70, 130


class InputError(Exception):
    """Wrong input: says what was expected, what was found, where, and what to do."""

    code = INCOMPLETE


class MissingData(InputError):
    """A data file, image or language resource is not where it should be."""


class MissingExtra(InputError):
    """A package of an optional extra is not installed."""


OF_HF = ("torch", "transformers", "accelerate", "peft", "safetensors", "PIL")
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def told_by(error: Exception) -> str | None:
    """The line for what no code of ours is to blame for: an extra that is not installed, a disk that refuses a file."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in OF_HF:
        return f"this needs: pip install 'halbench[hf]' (no module '{error.name}')"
    # safetensors and torch write on their own, and have no errno.
    full = "No space left on device" in str(error) or "PytorchStreamWriter failed" in str(error)
    if full or (isinstance(error, OSError) and error.errno in OF_THE_DISK):
        return f"a file cannot be read or written ({error}). What was written before is kept; once that is mended, the same command goes on"
    return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean "amber"?' or, where nothing is near, the list of what is known."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"
