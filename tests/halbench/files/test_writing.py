"""Atomic writes: complete or not at all, also where two writers share a path and a process id."""

import errno
import json
import resource
import threading
from contextlib import contextmanager

import pytest

from halbench.files.records import write_json
from halbench.files.writing import is_partial, replacing


def test_writers_that_share_a_process_id_never_collide(tmp_path):
    # Two containers on one shared cache may have the same process id; two threads of one process stand for them.
    errors = []
    value = list(range(2000))

    def write() -> None:
        for number in range(40):
            try:
                write_json(tmp_path / f"{number}.json", value)
            except OSError as error:
                errors.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{number}.json" for number in range(40))
    assert all(json.loads(path.read_text()) == value for path in tmp_path.iterdir())


def test_two_open_writes_of_one_path_do_not_see_each_other(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as first:
        with replacing(path) as second:
            first.write_text("first")
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"  # the last one wins


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as partial:
            partial.write_text("half of the n")
            raise error

    with pytest.raises(error):
        fail()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a.txt", "old")]


@contextmanager
def files_of_at_most(size):
    """No file of this process can grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_the_system_refuses_names_its_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(OSError, match="too large") as raised, files_of_at_most(100):
        write_json(path, list(range(1000)))
    assert (raised.value.errno, raised.value.filename) == (errno.EFBIG, str(path))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_write_leaves_is_recognised(tmp_path):
    with replacing(tmp_path / "a.json") as partial:
        partial.write_text("x")
        assert is_partial(partial)
    assert not is_partial(tmp_path / "a.json")
    assert not is_partial(tmp_path / "thesis.partial")


def test_the_folders_above_a_file_are_created(tmp_path):
    with replacing(tmp_path / "a" / "b" / "c.txt") as partial:
        partial.write_text("x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"
