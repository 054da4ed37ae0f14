"""Downloads against a local HTTP server: right, wrong, absent, broken off, offline."""

import hashlib
import io
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from halbench.cli.data import add_to
from halbench.datasets import Data, ImageSource, Source, Sources, read_sources
from halbench.errors import InputError
from halbench.fetching import Downloader, fetch_files, fetch_images, object_halbench_questions

TEXT = b"0123456789" * 1000
FOLDER = "https://upstream.example/repository"


class Upstream:
    """A server on this machine. files: path -> content. breaks: path -> bytes after which the connection ends, once.
    ranges: whether a part of a file can be asked for. asked: (path, Range header) of each request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks: dict[str, int] = {}
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                upstream.asked.append((self.path, wanted))
                content = upstream.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and upstream.ranges else 0
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start : upstream.breaks.pop(self.path, len(content))])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@pytest.fixture
def upstream(monkeypatch) -> Iterator[Upstream]:
    monkeypatch.setenv("no_proxy", "*")
    upstream = Upstream()
    thread = threading.Thread(target=upstream.server.serve_forever, args=(0.05,))
    thread.start()
    yield upstream
    upstream.server.shutdown()
    thread.join()
    upstream.server.server_close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def listed(**contents: bytes) -> Sources:
    """A catalogue of files pinned to these contents, all in one upstream folder."""
    files = {
        f"suite/{name}": Source(f"suite/{name}", ["suite"], "-", {"bytes": sha256(content)}, url=f"{FOLDER}/{name}")
        for name, content in contents.items()
    }
    return Sources(files, {})


def fetch(sources: Sources, root: Path, mirror: str) -> list[str]:
    with Downloader(mirror, timeout_s=5) as downloader:
        return fetch_files(sources.of(None), sources, Data(root), downloader)


def test_a_file_is_fetched_and_named(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert (tmp_path / "suite/a").read_bytes() == TEXT
    assert [path.name for path in (tmp_path / "suite").iterdir()] == ["a"]


def test_what_is_there_and_right_is_not_asked_for(upstream, tmp_path):
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a").write_bytes(TEXT)
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert upstream.asked == []


def test_what_is_there_and_wrong_is_never_overwritten(upstream, tmp_path):
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
    assert f"suite/a: what came has SHA-256 {sha256(b'changed since')}, expected {sha256(TEXT)}" in problem
    assert "\n" not in problem
    assert list((tmp_path / "suite").iterdir()) == []


def test_a_file_that_upstream_lacks_does_not_keep_the_others_from_coming(upstream, tmp_path):
    upstream.files["/repository/b"] = TEXT
    (problem,) = fetch(listed(a=TEXT, b=TEXT), tmp_path, upstream.address)
    assert f"suite/a: {upstream.address}/repository/a answers 404 Not Found" in problem
    assert f"Get it from {FOLDER}/a and put it at {tmp_path}/suite/a" in problem
    assert (tmp_path / "suite/b").read_bytes() == TEXT


def test_an_interrupted_download_goes_on_where_it_stopped(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a.partial").write_bytes(TEXT[:4000])
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert upstream.asked == [("/repository/a", "bytes=4000-")]
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_connection_that_breaks_off_is_taken_up_again(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    upstream.breaks["/repository/a"] = 3000
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert upstream.asked == [("/repository/a", None), ("/repository/a", "bytes=3000-")]
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_server_without_ranges_sends_the_whole_file_again(upstream, tmp_path):
    upstream.files["/repository/a"], upstream.ranges = TEXT, False
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a.partial").write_bytes(b"something else of old")
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_partial_file_that_is_longer_than_the_file_is_begun_again(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a.partial").write_bytes(TEXT + b"more")
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_whole_partial_file_only_gets_its_name(upstream, tmp_path):
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a.partial").write_bytes(TEXT)
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert upstream.asked == []
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def nobody_listens() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_offline_every_missing_file_has_a_line_with_origin_and_place(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    problems = fetch(listed(a=TEXT, b=TEXT), tmp_path, nobody_listens())
    assert len(problems) == 2
    for name, problem in zip("ab", problems, strict=True):
        assert problem.startswith(f"suite/{name}: 127.0.0.1:")
        assert problem.endswith(f"Get it from {FOLDER}/{name} and put it at {tmp_path}/suite/{name}")


def test_offline_the_command_ends_with_2_and_names_every_file_of_the_suite(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    app = typer.Typer()
    add_to(app)
    app.command("other")(lambda: None)
    shown = CliRunner().invoke(app, ["data", "fetch", "pope", "--data", str(tmp_path), "--mirror", nobody_listens()])
    assert shown.exit_code == 2
    for entry in read_sources().of("pope"):
        assert f"Get it from {entry.url} and put it at {tmp_path / entry.file}" in shown.stderr


def test_a_mirror_without_a_scheme_is_refused():
    with pytest.raises(InputError, match=r"--mirror mirror\.example: expected an address with its scheme"):
        Downloader("mirror.example")


def test_a_mirror_stands_in_for_scheme_and_host_only():
    address = Downloader("http://mirror.example:80/files/").address("https://upstream.example/a/b.zip?download=1")
    assert address == "http://mirror.example:80/files/a/b.zip?download=1"


def test_a_folder_can_be_the_mirror(tmp_path):
    (tmp_path / "mirror/repository").mkdir(parents=True)
    (tmp_path / "mirror/repository/b").write_bytes(TEXT)
    (problem,) = fetch(listed(a=TEXT, b=TEXT), tmp_path, f"file://{tmp_path}/mirror")
    assert problem.startswith("suite/a: ")
    assert (tmp_path / "suite/b").read_bytes() == TEXT


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
from pathlib import Path
from types import SimpleNamespace as Name

def load(data, options, rows):
    return Name(items=[Name(image=Path(f"{n}.jpg")) for n in (1, 2, 3, 3)])

SUITE = Name(load=load, options=Name)
"""


@pytest.fixture
def suite(tmp_path) -> str:
    """A suite of the user's own that asks about three images."""
    path = tmp_path / "mine.py"
    path.write_text(SUITE)
    return str(path)


def test_only_the_images_that_are_not_there_are_fetched(upstream, tmp_path, suite):
    upstream.files |= {f"/val/{n}.jpg": b"image %d" % n for n in (2, 3)}
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.jpg").write_bytes(b"image 1")
    images = ImageSource(suite, "-", url="http://coco.example/val/{name}")
    with Downloader(upstream.address) as downloader:
        assert fetch_images(images, Sources({}, {}), Data(tmp_path, tmp_path / "images"), downloader) == []
    assert sorted(upstream.paths()) == ["/val/2.jpg", "/val/3.jpg"]
    assert (tmp_path / "images/3.jpg").read_bytes() == b"image 3"


def test_images_that_cannot_be_had_are_counted_in_one_line(upstream, tmp_path, suite):
    upstream.files["/val/1.jpg"] = b"image 1"
    images = ImageSource(suite, "-", url="http://coco.example/val/{name}")
    with Downloader(upstream.address) as downloader:
        (problem,) = fetch_images(images, Sources({}, {}), Data(tmp_path, tmp_path / "images"), downloader)
    assert "2 of 3 missing images could not be had (2.jpg: " in problem
    assert f"put them into {tmp_path / 'images'}" in problem
    assert (tmp_path / "images/1.jpg").is_file()


def test_images_come_out_of_an_archive_by_their_names(upstream, tmp_path, suite):
    upstream.files["/repository/x.zip"] = packed(**{f"{n}.jpg": b"image %d" % n for n in (1, 2, 3, 4)})
    archive = Source("downloads/x.zip", [], "-", {}, "build", f"{FOLDER}/x.zip")
    images = ImageSource(suite, "-", archive=archive.file)
    with Downloader(upstream.address) as downloader:
        found = fetch_images(
            images, Sources({archive.file: archive}, {}), Data(tmp_path, tmp_path / "images"), downloader
        )
    assert found == []
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["1.jpg", "2.jpg", "3.jpg"]


def test_images_that_a_person_must_place_are_explained_with_their_folder(tmp_path, suite):
    images = ImageSource(suite, "-", by_hand="unpack the archive so that {folder}/1.jpg exists")
    with Downloader() as downloader:
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
