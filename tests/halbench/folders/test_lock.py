"""One writer at a time for a folder, and never a folder that is not ours."""

import errno
import subprocess
import sys

import pytest
from filelock import FileLock

from halbench.errors import InputError
from halbench.folders.ablation import AblationFolder
from halbench.folders.lock import lock_folder
from halbench.folders.run import RunFolder
from halbench.folders.training import TrainingFolder

HOLD = """
import sys
from pathlib import Path
from halbench.folders.{module} import {kind}
with {kind}(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""
KINDS = [RunFolder, TrainingFolder, AblationFolder]


def hold(kind: type, folder) -> subprocess.Popen[str]:
    """Another process that locks a folder until its stdin is closed."""
    script = HOLD.format(module=kind.__module__.rpartition(".")[2], kind=kind.__name__)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    return process


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path, kind):
    folder = tmp_path / "out"
    holder = hold(kind, folder)
    with pytest.raises(InputError, match="another halbench is writing to this folder"), kind(folder).lock():
        pass
    holder.communicate("")
    with kind(folder).lock():
        pass


def test_a_killed_holder_releases_the_folder(tmp_path):
    holder = hold(RunFolder, tmp_path / "run")
    holder.kill()
    holder.wait()
    with RunFolder(tmp_path / "run").lock():
        pass


def test_a_second_lock_in_one_process_is_refused_too(tmp_path):
    lock = lock_folder(tmp_path / "a", "manifest.json")
    with lock_folder(tmp_path / "a", "manifest.json"), pytest.raises(InputError, match="another halbench"), lock:
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_with_other_things_is_refused_and_left_as_it_is(tmp_path, kind):
    (tmp_path / "thesis.txt").write_text("x")
    with (
        pytest.raises(InputError, match=r"is not empty and has no \w+\.json\. Choose another --out"),
        kind(tmp_path).lock(),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_was_left_before_its_first_record_was_written_counts_as_new(tmp_path, kind):
    record = {RunFolder: "manifest.json", TrainingFolder: "training.json", AblationFolder: "ablation.json"}[kind]
    (tmp_path / f"{record}.{'0f' * 16}.partial").write_text('{"half')
    (tmp_path / "responses.jsonl").write_text("")
    (tmp_path / ".lock").write_text("")
    with kind(tmp_path).lock():
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "responses.jsonl"]
    (tmp_path / "responses.jsonl").write_text('{"item": "1", "text": "of something else"}\n')
    with pytest.raises(InputError, match="is not empty"), kind(tmp_path).lock():
        pass


def test_a_name_that_is_too_long_for_the_disk_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be written"), lock_folder(tmp_path / ("a" * 300), "manifest.json"):
        pass


def test_a_folder_of_ours_is_locked_again(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "responses.jsonl").write_text("")
    with lock_folder(tmp_path, "manifest.json"):
        pass


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOLCK, "No locks available"), NotImplementedError("flock is not supported")],
    ids=["no lock daemon", "no flock"],
)
def test_a_file_system_without_locks_gets_its_own_line(tmp_path, monkeypatch, error):
    def acquire(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(FileLock, "acquire", acquire)
    line = r"does not support locks \(.*\), so two processes could write the same files"
    with pytest.raises(InputError, match=line), lock_folder(tmp_path / "a", "manifest.json"):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_cannot_be_written_is_not_taken_for_one_without_locks(tmp_path, monkeypatch, number):
    def acquire(*arguments: object, **options: object) -> None:
        raise OSError(number, "cannot")

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with pytest.raises(InputError, match=r"cannot be written \(cannot\)"), lock_folder(tmp_path / "a", "manifest.json"):
        pass


def test_a_path_that_is_a_file_cannot_be_a_folder(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(InputError, match="cannot be written"), lock_folder(tmp_path / "a", "manifest.json"):
        pass


def test_a_failure_before_the_first_file_leaves_no_new_folder(tmp_path):
    with pytest.raises(RuntimeError), lock_folder(tmp_path / "a", "manifest.json"):
        raise RuntimeError
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    with pytest.raises(RuntimeError), lock_folder(tmp_path / "b", "manifest.json"):
        raise RuntimeError
    assert (tmp_path / "b").exists()
