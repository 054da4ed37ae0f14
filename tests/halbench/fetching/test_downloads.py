"""Downloads: resumed, repeated, from a mirror, and shown in a log."""

import pytest
from upstream import TEXT, fetch, listed

from halbench.errors import InputError
from halbench.fetching.downloads import Downloader, download_all
from halbench.terminal import progress


def test_an_interrupted_download_resumes(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a.partial").write_bytes(TEXT[:4000])
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert upstream.requests == [("/repository/a", "bytes=4000-")]
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_connection_that_breaks_off_is_resumed(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    upstream.breaks["/repository/a"] = 3000
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert upstream.requests == [("/repository/a", None), ("/repository/a", "bytes=3000-")]
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_server_without_ranges_sends_the_whole_file_again(upstream, tmp_path):
    upstream.files["/repository/a"], upstream.ranges = TEXT, False
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a.partial").write_bytes(b"something else of old")
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_partial_file_that_is_longer_than_the_file_is_started_again(upstream, tmp_path):
    upstream.files["/repository/a"] = TEXT
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a.partial").write_bytes(TEXT + b"more")
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_whole_partial_file_only_gets_its_name(upstream, tmp_path):
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/a.partial").write_bytes(TEXT)
    assert fetch(listed(a=TEXT), tmp_path, upstream.address) == []
    assert upstream.requests == []
    assert (tmp_path / "suite/a").read_bytes() == TEXT


def test_a_mirror_without_a_scheme_is_refused():
    with pytest.raises(InputError, match=r"--mirror mirror\.example: expected an address with its scheme"):
        Downloader("mirror.example")


def test_a_mirror_replaces_scheme_and_host_only():
    address = Downloader("http://mirror.example:80/files/").address("https://upstream.example/a/b.zip?download=1")
    assert address == "http://mirror.example:80/files/a/b.zip?download=1"


def test_a_folder_can_be_the_mirror(tmp_path):
    (tmp_path / "mirror/repository").mkdir(parents=True)
    (tmp_path / "mirror/repository/b").write_bytes(TEXT)
    (problem,) = fetch(listed(a=TEXT, b=TEXT), tmp_path, f"file://{tmp_path}/mirror")
    assert problem.startswith("suite/a: ")
    assert (tmp_path / "suite/b").read_bytes() == TEXT


def test_a_log_shows_how_far_a_download_is(upstream, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    upstream.files["/repository/a"] = b"x" * 4_000_000
    assert fetch(listed(a=b"x" * 4_000_000), tmp_path, upstream.address) == []
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("halbench: a: ") and " of 4.0 MB, " in line for line in lines[:-1])
    assert len(lines) > 3
    assert lines[-2].startswith("halbench: a: 4.0 MB of 4.0 MB, ")
    assert lines[-1] == "halbench: suite/a: 4,000,000 bytes"


def test_images_are_downloaded_together_with_one_line_about_all(upstream, tmp_path, capsys):
    upstream.files |= {f"/{n}.jpg": b"image" for n in range(20)}
    urls = {f"{n}.jpg": f"{upstream.address}/{n}.jpg" for n in range(21)}
    ((name, reason),) = download_all(urls, tmp_path / "images", Downloader())
    assert (name, reason) == ("20.jpg", f"{upstream.address}/20.jpg returned HTTP 404 Not Found")
    assert len(list((tmp_path / "images").iterdir())) == 20
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"halbench: images into {tmp_path / 'images'}: 21 of 21, ")
    assert line.endswith(", 1 not available")
