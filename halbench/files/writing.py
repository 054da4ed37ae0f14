"""Atomic writes: a file is written completely or not at all, even if several processes or hosts share a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file that replaces `path` when the block ends; if the block fails, the old file stays.

    Its name is unique across hosts, so any number of processes may write the same path at once; the last one wins.
    """
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
