"""Downloads that resume, and files that get their final name only when they are complete and right."""

import errno
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from halbench.data.datasets import Source, compare
from halbench.errors import InputError
from halbench.terminal.progress import Silent, progress

ATTEMPTS = 3  # at a transfer whose connection is lost; each resumes the one before
BLOCK = 1 << 16
IMAGES_AT_ONCE = 8
SMALL = 10**6  # bytes; a smaller download is over before its progress could be read
TIMEOUT_S = 60
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


class Unavailable(InputError):
    """A file is not available now; others may be."""


class Downloader:
    """Downloads URLs into files. mirror: replaces scheme and host of every URL. A host that did not answer is not tried
    again."""

    def __init__(self, mirror: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        if mirror is not None and not urlsplit(mirror).scheme:
            raise InputError(f"--mirror {mirror}: expected an address with its scheme, such as https://{mirror}")
        self.mirror = mirror
        self.timeout_s = timeout_s
        self.unreachable: set[str] = set()

    def address(self, url: str) -> str:
        """The URL to request, with the mirror's scheme and host."""
        if self.mirror is None:
            return url
        base, parts = urlsplit(self.mirror), urlsplit(url)
        return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + parts.path, parts.query, ""))

    def get(self, url: str, partial: Path, size: int | None = None, shown: bool = True) -> None:
        """Download a URL into `partial`, after what is in it already. Raises Unavailable, and keeps what it received."""
        address = self.address(url)
        host = urlsplit(address).netloc
        for attempt in range(ATTEMPTS):
            if host in self.unreachable:
                raise Unavailable(f"{host} cannot be reached")
            try:
                self._transfer(address, partial, size, shown)
                return
            except urllib.error.HTTPError as error:
                error.close()
                if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and attempt + 1 < ATTEMPTS:
                    partial.unlink(missing_ok=True)  # longer than the file is now: start again
                    continue
                raise Unavailable(f"{address} returned HTTP {error.code} {error.reason}") from error
            except urllib.error.URLError as error:
                if host:  # none in file:// addresses
                    self.unreachable.add(host)
                raise Unavailable(f"{host or address} cannot be reached ({error.reason})") from error
            except (http.client.HTTPException, OSError) as error:
                if getattr(error, "errno", None) in DISK_ERRORS:
                    raise
                if attempt + 1 == ATTEMPTS:
                    raise Unavailable(
                        f"{address}: connection lost ({error or type(error).__name__}); repeat the command to resume"
                    ) from error

    def _transfer(self, address: str, partial: Path, size: int | None, shown: bool) -> None:
        """One request. Raises ConnectionError if the connection ends before the announced length."""
        start = partial.stat().st_size if partial.is_file() else 0
        request = urllib.request.Request(address, headers={"User-Agent": "halbench"})
        if start:
            request.add_header("Range", f"bytes={start}-")
        with urllib.request.urlopen(request, timeout=self.timeout_s) as reply:
            if reply.status != http.client.PARTIAL_CONTENT:
                start = 0  # the server sends the whole file
            length = reply.headers.get("Content-Length")
            total = start + int(length) if length else None
            name = partial.name.removesuffix(".partial")
            expected = total or size
            shown = shown and (expected is None or expected >= SMALL)
            display = progress(name, expected, start, "bytes") if shown else nullcontext(Silent())
            with partial.open("ab" if start else "wb") as file, display as steps:
                while block := reply.read(BLOCK):
                    file.write(block)
                    steps.advance(len(block))
        if total is not None and partial.stat().st_size != total:
            raise ConnectionError(f"{partial.stat().st_size:,} of {total:,} bytes")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes the folder of a file that is about to be written. Errors of the disk become InputErrors that name the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}). Choose another --data") from error


def keep(partial: Path, path: Path, source: Source) -> None:
    """Give a finished file its name if its digest is right. A wrong download is removed; a wrong file that was built here,
    which may have taken minutes, is kept under another name."""
    state = compare(source, partial)
    if state.state != "differs":
        os.replace(partial, path)
    elif source.url or source.member:
        partial.unlink()
        raise Unavailable(f"the download has SHA-256 {state.found}, expected {state.expected}, and was removed")
    else:
        other = path.with_name(path.name + ".differs")
        os.replace(partial, other)
        raise Unavailable(
            f"the built file has SHA-256 {state.found}, expected {state.expected}; it is kept as {other}. Rename it to use it anyway"
        )


def download_all(urls: Mapping[str, str], folder: Path, downloader: Downloader) -> list[tuple[str, str]]:
    """Download several files at once into a folder. Returns (name, reason) of each that is not available."""

    def download(name: str) -> tuple[str, str] | None:
        partial = folder / (name + ".partial")
        try:
            with writing(partial):
                downloader.get(urls[name], partial, shown=False)
                os.replace(partial, folder / name)
        except Unavailable as error:
            return name, str(error)
        return None

    failed = []
    with ThreadPoolExecutor(IMAGES_AT_ONCE) as pool, progress(f"images into {folder}", len(urls)) as steps:
        try:
            for failure in pool.map(download, urls):
                failed += [failure] if failure else []
                steps.advance(note=f"{len(failed)} not available" if failed else "")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # else an interruption would wait for all images
    return failed
