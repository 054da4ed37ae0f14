"""Atomic writes: a file is written completely or not at all, even if several processes or hosts share a folder."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file that replaces `path` when the block ends; if the block fails, the old file stays.

    Its name is unique across hosts, so any number of processes may write the same path at once; the last one wins. An
    OSError that names no file, such as that of a full disk, is given the name of `path`.
    """
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        os.replace(partial, path)
    except BaseException as error:
        with suppress(OSError):  # what failed says more than why its remains cannot be removed
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(partial), partial):
            error.filename, error.filename2 = str(path), None
        raise


def is_partial(path: Path) -> bool:
    """Whether a file is what a killed process left of `replacing`."""
    return PARTIAL.search(path.name) is not None
