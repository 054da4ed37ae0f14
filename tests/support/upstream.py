"""A web server on this machine from which files are fetched, and catalogues of such files."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from halbench.data.datasets import Data, Source, Sources
from halbench.fetching.downloads import Downloader
from halbench.fetching.fetch import fetch_files

TEXT = b"0123456789" * 1000
FOLDER = "https://upstream.example/repository"


class Upstream:
    """Serves files. files: path -> content. breaks: path -> bytes after which the connection ends, once. ranges: whether a
    part of a file can be requested. held: while it is not set, every file stops at its middle. requests: (path, Range
    header) of each request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks: dict[str, int] = {}
        self.ranges = True
        self.held = threading.Event()
        self.held.set()
        self.requests: list[tuple[str, str | None]] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                part = self.headers.get("Range")
                upstream.requests.append((self.path, part))
                content = upstream.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                start = int(part.removeprefix("bytes=").rstrip("-")) if part and upstream.ranges else 0
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                middle, end = len(content) // 2, upstream.breaks.pop(self.path, len(content))
                self.wfile.write(content[start : min(middle, end)])
                self.wfile.flush()
                upstream.held.wait(60)
                self.wfile.write(content[max(start, middle) : end] if end > middle else b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


@contextmanager
def serving() -> Iterator[Upstream]:
    """An Upstream that answers until the block ends."""
    upstream = Upstream()
    thread = threading.Thread(target=upstream.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield upstream
    finally:
        upstream.held.set()
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
    """Fetch all files of a catalogue; the lines about those that are not available."""
    return fetch_files(sources.of(None), sources, Data(root), Downloader(mirror, timeout_s=30))


def nobody_listens() -> str:
    """An address at which no server answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
