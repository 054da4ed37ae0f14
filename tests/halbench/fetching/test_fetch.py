"""Fetching files and images: right, wrong and missing ones, archives, built files, and two fetches at once."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile

import pytest
from paths import ROOT
from upstream import FOLDER, TEXT, fetch, listed, nobody_listens, sha256

from halbench.data.datasets import Data, ImageSource, Source, Sources
from halbench.errors import InputError
from halbench.fetching.downloads import Downloader
from halbench.fetching.fetch import fetch_images, object_halbench_questions, one_fetch_at_a_time

SUPPORT = ROOT / "tests/support"


def test_a_file_is_fetched_and_named(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert (tmp_path / "suite/a").read_bytes() == TEXT
    assert [path.name for path in (tmp_path / "suite").iterdir()] == ["a"]


def test_a_file_that_is_right_is_not_fetched_again(upstream, tmp_path):
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a").write_bytes(TEXT)
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert upstream.requests == []


def test_a_file_that_is_wrong_is_never_overwritten(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a").write_bytes(b"mine")
    (problem,) = fetch(listed(a=TEXT), tmp_path, upstream.address)
    assert (
        problem
        == f"{tmp_path}/suite/a: SHA-256 {sha256(b'mine')}, expected {sha256(TEXT)}. Remove it to fetch it again"
    )
    assert (tmp_path / "suite/a").read_bytes() == b"mine"


def test_a_wrong_download_is_one_line_and_leaves_nothing(upstream, tmp_path):
    upstream.files["/repository/a"] = b"changed since"
    (problem,) = fetch(listed(a=TEXT), tmp_path, upstream.address)
    assert f"suite/a: the download has SHA-256 {sha256(b'changed since')}, expected {sha256(TEXT)}" in problem
    assert "\n" not in problem
    assert list((tmp_path / "suite").iterdir()) == []


def test_a_file_that_upstream_lacks_does_not_keep_the_others_from_coming(upstream, tmp_path):
    upstream.files["/repository/b"] = TEXT
    (problem,) = fetch(listed(a=TEXT, b=TEXT), tmp_path, upstream.address)
    assert f"suite/a: {upstream.address}/repository/a returned HTTP 404 Not Found" in problem
    assert f"Get it from {FOLDER}/a and put it at {tmp_path}/suite/a" in problem
    assert (tmp_path / "suite/b").read_bytes() == TEXT


def test_offline_every_missing_file_has_a_line_with_origin_and_place(tmp_path):
    problems = fetch(listed(a=TEXT, b=TEXT), tmp_path, nobody_listens())
    assert len(problems) == 2
    for name, problem in zip("ab", problems, strict=True):
        assert problem.startswith(f"suite/{name}: 127.0.0.1:")
        assert problem.endswith(f"Get it from {FOLDER}/{name} and put it at {tmp_path}/suite/{name}")


def test_a_folder_that_cannot_be_written_is_one_clear_line(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    (tmp_path / "suite").write_text("a file where a folder should be")
    (problem,) = fetch(listed(a=TEXT), tmp_path, upstream.address)
    assert problem.startswith(f"{tmp_path}/suite/a cannot be written (")


def packed(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"folder/{name}", content)
    return file.getvalue()


def test_files_come_out_of_an_archive_that_is_fetched_once(upstream, tmp_path):
    archive = packed(a=b"A", b=b"B")
    upstream.files["/repository/x.zip"] = archive
    files = {
        "downloads/x.zip": Source("downloads/x.zip", [], "-", {"bytes": sha256(archive)}, "build", f"{FOLDER}/x.zip")
    }
    for name in "ab":
        pinned = {"bytes": sha256(name.upper().encode())}
        files[name] = Source(name, ["s"], "-", pinned, made_from=["downloads/x.zip"], member=f"folder/{name}")
    assert fetch(Sources(files, {}), tmp_path, upstream.address) == []
    assert (tmp_path / "b").read_bytes() == b"B"
    assert upstream.paths() == ["/repository/x.zip"]


def test_an_archive_without_the_member_says_so(upstream, tmp_path):
    archive = packed(a=b"A")
    upstream.files["/repository/x.zip"] = archive
    files = {
        "x.zip": Source("x.zip", [], "-", {"bytes": sha256(archive)}, "build", f"{FOLDER}/x.zip"),
        "c": Source("c", ["s"], "-", {}, made_from=["x.zip"], member="folder/c"),
    }
    (problem,) = fetch(Sources(files, {}), tmp_path, upstream.address)
    assert "expected a zip archive with folder/c" in problem
    assert not (tmp_path / "c").exists()


SUITE = """
from dataclasses import dataclass
from pathlib import Path

from halbench.types import Decoding, Item, Metric, Score, Suite, Task


@dataclass(frozen=True)
class Options:
    pass


def load(data, options, rows):
    shown = [(1,), (2, 3), (3,), ()]
    items = [Item(str(n), tuple(Path(f"{i}.jpg") for i in s), "?", None, "all") for n, s in enumerate(shown)]
    return Task(items, lambda item, response, _: Score.of(item, {"asked": 1, "right": 1}), {})


right = Metric("right", lambda counts: counts["right"] / counts["asked"], "higher", main=("all",))
SUITE = Suite("mine", "1", "Mine", Options, Decoding(8), (right,), {"all": ("all",)}, load, lambda items, rows: [])
"""


@pytest.fixture
def suite(tmp_path) -> str:
    """A suite of the user's own with one, two and no images an item; three in all."""
    path = tmp_path / "mine.py"
    path.write_text(SUITE)
    return str(path)


def test_only_missing_images_are_fetched(upstream, tmp_path, suite):
    upstream.files |= {f"/val/{n}.jpg": b"image %d" % n for n in (2, 3)}
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.jpg").write_bytes(b"image 1")
    images = ImageSource(suite, "-", url="http://coco.example/val/{name}")
    downloader = Downloader(upstream.address)
    assert fetch_images(images, Sources({}, {}), Data(tmp_path, tmp_path / "images"), downloader) == []
    assert sorted(upstream.paths()) == ["/val/2.jpg", "/val/3.jpg"]
    assert (tmp_path / "images/3.jpg").read_bytes() == b"image 3"


def test_images_that_cannot_be_had_are_counted_in_one_line(upstream, tmp_path, suite):
    upstream.files["/val/1.jpg"] = b"image 1"
    images = ImageSource(suite, "-", url="http://coco.example/val/{name}")
    downloader = Downloader(upstream.address)
    (problem,) = fetch_images(images, Sources({}, {}), Data(tmp_path, tmp_path / "images"), downloader)
    assert "2 of 3 missing images are not available (2.jpg: " in problem
    assert f"put them into {tmp_path / 'images'}" in problem
    assert (tmp_path / "images/1.jpg").is_file()


def test_images_come_out_of_an_archive_by_their_names(upstream, tmp_path, suite):
    upstream.files["/repository/x.zip"] = packed(**{f"{n}.jpg": b"image %d" % n for n in (1, 2, 3, 4)})
    archive = Source("downloads/x.zip", [], "-", {}, "build", f"{FOLDER}/x.zip")
    images = ImageSource(suite, "-", archive=archive.file)
    downloader = Downloader(upstream.address)
    problems = fetch_images(
        images, Sources({archive.file: archive}, {}), Data(tmp_path, tmp_path / "images"), downloader
    )
    assert problems == []
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["1.jpg", "2.jpg", "3.jpg"]


def test_images_that_a_person_must_place_are_explained_with_their_folder(tmp_path, suite):
    images = ImageSource(suite, "-", by_hand="unpack the archive so that {folder}/1.jpg exists")
    downloader = Downloader()
    (problem,) = fetch_images(images, Sources({}, {}), Data(tmp_path, tmp_path / "images"), downloader)
    assert problem.endswith(f"3 images are missing; unpack the archive so that {tmp_path}/images/1.jpg exists")


def test_the_300_questions_of_object_halbench_come_out_of_the_official_file(data: Data, tmp_path):
    real = (data.root / "object_halbench/questions_300.jsonl").read_bytes()
    (tmp_path / "downloads").mkdir()
    with (tmp_path / "downloads/obj_halbench_300_with_image.jsonl").open("w") as official:
        for line in real.splitlines():
            row = json.loads(line)
            kept = {
                "org_idx": row["org_idx"],
                "image": "/9j/4AAQ",
                "question": row["question"],
                "image_id": str(row["image_id"]),
            }
            official.write(json.dumps(kept) + "\n")
    object_halbench_questions(Data(tmp_path), tmp_path / "questions.jsonl", Downloader())
    assert (tmp_path / "questions.jsonl").read_bytes() == real


def test_an_official_question_without_its_image_id_is_an_error_with_its_line(tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/obj_halbench_300_with_image.jsonl").write_text('{"org_idx": 1, "question": "What?"}\n')
    with pytest.raises(InputError, match=r"with_image\.jsonl:1: expected image_id"):
        object_halbench_questions(Data(tmp_path), tmp_path / "questions.jsonl", Downloader())


TWO_FETCHES = """
import sys
from pathlib import Path
from upstream import TEXT, fetch, listed
from halbench.data.datasets import Data
from halbench.fetching.fetch import one_fetch_at_a_time

root = Path(sys.argv[1])
with one_fetch_at_a_time(Data(root)):
    print(fetch(listed(a=TEXT), root, sys.argv[2]))
"""


def test_a_second_fetch_into_the_same_folder_waits_and_then_finds_everything(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    upstream.held.clear()  # the first download stops at its middle
    command = [sys.executable, "-c", TWO_FETCHES, str(tmp_path), upstream.address]
    start = lambda: subprocess.Popen(  # noqa: E731
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SUPPORT)},
    )
    first = start()
    while not upstream.requests:
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    second = start()
    assert second.stderr is not None
    assert (
        second.stderr.readline()
        == f"halbench: another halbench is fetching into {tmp_path}; waiting for it to finish\n"
    )
    assert second.poll() is None
    upstream.held.set()
    assert [process.communicate(timeout=1800)[0] for process in (first, second)] == ["[]\n", "[]\n"]
    assert upstream.requests == [("/repository/a", None)]
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_folder_on_a_file_system_without_locks_is_fetched_into_with_a_warning(
    upstream, tmp_path, monkeypatch, capsys
):
    from filelock import FileLock

    def no_locks(self, timeout=None):
        raise NotImplementedError

    monkeypatch.setattr(FileLock, "acquire", no_locks)
    monkeypatch.setattr(FileLock, "release", lambda self: None)
    upstream.files["/repository/a"] = TEXT
    with one_fetch_at_a_time(Data(tmp_path)):
        assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert f"the file system of {tmp_path} has no locks; do not run a second fetch" in capsys.readouterr().err
