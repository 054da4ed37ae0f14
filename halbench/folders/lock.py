"""One writer at a time for the folder of a run, a training or an ablation, and never in a folder that is not ours."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from halbench.errors import FolderInUse, InputError
from halbench.files.writing import is_partial

LOCK = ".lock"
NOT_WRITABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EFBIG,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EIO,
)


@contextmanager
def lock_folder(folder: Path, record: str) -> Iterator[None]:
    """Lock a folder, which is created if it is missing; the system releases the lock when the process dies.

    record: file that marks a folder as one of ours, such as "manifest.json". Raises InputError if another process holds
    the lock, if the folder holds other things than ours, or if it cannot be written or locked.
    """
    try:
        is_new = not folder.exists()
        refuse_unrelated(folder, record)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}). Choose another --out") from error
    lock = FileLock(folder / LOCK, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise FolderInUse(
            f"{folder}: another halbench is writing to this folder; wait for it or choose another --out"
        ) from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
            raise InputError(f"{folder}: cannot be written ({error.strerror}). Choose another --out") from error
        raise InputError(
            f"{folder}: its file system does not support locks ({error}), so two processes could write the same files. "
            "Choose an --out on another file system"
        ) from error
    try:
        for left in filter(is_partial, folder.iterdir()):  # by a killed process: nobody else writes here now
            left.unlink(missing_ok=True)
        yield
    finally:
        if is_new and [entry.name for entry in folder.iterdir()] == [LOCK]:  # failed before its first file
            with suppress(OSError):  # another process has just opened it
                (folder / LOCK).unlink()
                folder.rmdir()
        lock.release()


def refuse_unrelated(folder: Path, record: str) -> None:
    """Raise InputError if a folder holds other things than ours and lacks our record."""
    if not (folder / record).is_file() and folder.is_dir() and not all(map(is_leftover, folder.iterdir())):
        raise InputError(f"{folder} is not empty and has no {record}. Choose another --out")


def is_leftover(entry: Path) -> bool:
    """Whether a file is what a command leaves that was killed, or met a full disk, before its record was written."""
    return entry.name == LOCK or is_partial(entry) or (entry.suffix == ".jsonl" and entry.stat().st_size == 0)
