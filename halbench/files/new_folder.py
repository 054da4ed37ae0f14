"""A folder that appears when it is complete: until then its files are in a folder NAME.partial beside it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from halbench.errors import InputError

LOCK = ".lock"


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `folder` when the block ends and is removed if the block fails. What a killed
    process left in it is removed first. Raises InputError if `folder` exists or another process is writing it."""
    if folder.exists():
        raise InputError(f"{folder} exists; choose another --out, or remove it")
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(partial / LOCK, timeout=0):
            try:
                for left in partial.iterdir():
                    if left.name != LOCK:
                        shutil.rmtree(left) if left.is_dir() else left.unlink()
                yield partial
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            (partial / LOCK).unlink(missing_ok=True)
            os.rename(partial, folder)
    except Timeout as error:
        raise InputError(f"{partial}: another halbench is writing to this folder; choose another --out") from error
