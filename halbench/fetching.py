"""Fetch the data files: downloads that resume and are hashed before they get their name, archives unpacked, truth built.

What is there and right is left alone; what is there and wrong is never overwritten. A file that cannot be had now is one
line that says which file, from where and where to put it, and does not keep the others from coming.
"""

import errno
import http.client
import os
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from halbench.datasets import Data, ImageSource, Source, Sources, compare, image_names, place_of
from halbench.errors import InputError, MissingData
from halbench.records import dumps, read_jsonl

ATTEMPTS = 3  # of a transfer that breaks off; each goes on where the last one stopped
BLOCK = 1 << 16
IMAGES_AT_ONCE = 8
BUILD_PROCESSES = 8  # at most; on two, COCO's 616,767 captions take about four minutes
TIMEOUT_S = 60
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


class Unavailable(InputError):
    """A file could not be had now; others still may."""


class Amount(DownloadColumn):
    """Bytes done and to do, or, for a task with a `unit`, how many of it."""

    def render(self, task: Task) -> Text:
        unit = task.fields.get("unit")
        return super().render(task) if unit is None else Text(f"{task.completed:,.0f}/{task.total or 0:,.0f} {unit}")


class Downloader:
    """Gets URLs into files. mirror: stands in for scheme and host of every URL. A host that did not answer is not asked
    again. Used as a context, because it draws progress on stderr."""

    def __init__(self, mirror: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        if mirror is not None and not urlsplit(mirror).scheme:
            raise InputError(f"--mirror {mirror}: expected an address with its scheme, such as https://{mirror}")
        self.mirror = mirror
        self.timeout_s = timeout_s
        self.unreachable: set[str] = set()
        columns = (TextColumn("{task.description}"), BarColumn(), Amount(), TimeRemainingColumn())
        console = Console(stderr=True)
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

    def __enter__(self) -> "Downloader":
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def address(self, url: str) -> str:
        """The URL that is really asked."""
        if self.mirror is None:
            return url
        base, parts = urlsplit(self.mirror), urlsplit(url)
        return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + parts.path, parts.query, ""))

    def get(self, url: str, partial: Path, size: int | None = None, shown: bool = True) -> None:
        """Fill `partial` from a URL, going on behind what it already holds. Raises Unavailable; what came is kept."""
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
                    partial.unlink(missing_ok=True)  # longer than the file is now: begin again
                    continue
                raise Unavailable(f"{address} answers {error.code} {error.reason}") from error
            except urllib.error.URLError as error:
                if host:  # none in file:// addresses
                    self.unreachable.add(host)
                raise Unavailable(f"{host or address} cannot be reached ({error.reason})") from error
            except (http.client.HTTPException, OSError) as error:
                if getattr(error, "errno", None) in DISK_ERRORS:
                    raise
                if attempt + 1 == ATTEMPTS:
                    raise Unavailable(
                        f"{address} broke off ({error or type(error).__name__}); the same command goes on"
                    ) from error

    def _transfer(self, address: str, partial: Path, size: int | None, shown: bool) -> None:
        """One request. Raises ConnectionError when the connection ends before the announced length."""
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
            task = self.progress.add_task(name, total=total or size, completed=start, visible=shown)
            with partial.open("ab" if start else "wb") as file:
                while block := reply.read(BLOCK):
                    file.write(block)
                    self.progress.advance(task, len(block))
            self.progress.remove_task(task)
        if total is not None and partial.stat().st_size != total:
            raise ConnectionError(f"{partial.stat().st_size:,} of {total:,} bytes")

    def note(self, line: str) -> None:
        """One line above the bars."""
        self.progress.console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes the folder of a file that is about to be written. A disk that refuses is a mistake of the user's."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}). Choose another --data") from error


def keep(partial: Path, path: Path, source: Source) -> None:
    """Give a finished file its name if its digest is right. A download that is wrong is removed; a file built here, which
    may have cost minutes, is kept under another name."""
    state = compare(source, partial)
    if state.state != "differs":
        os.replace(partial, path)
    elif source.url or source.member:
        partial.unlink()
        raise Unavailable(f"what came has SHA-256 {state.found}, expected {state.expected}; it is removed")
    else:
        other = path.with_name(path.name + ".differs")
        os.replace(partial, other)
        raise Unavailable(
            f"what was built has SHA-256 {state.found}, expected {state.expected}; it is kept as {other}; rename that to use it all the same"
        )


def fetch_file(source: Source, sources: Sources, data: Data, downloader: Downloader) -> bool:
    """Make sure that a file is there; whether it had to be fetched. Raises Unavailable with the whole line for the user."""
    path = place_of(source, data)
    state = compare(source, path)
    if state.state in ("ok", "unpinned"):
        return False
    if state.state == "differs":
        raise Unavailable(f"{path}: SHA-256 {state.found}, expected {state.expected}. Remove it to fetch it again")
    for name in source.made_from:
        fetch_file(sources.files[name], sources, data, downloader)
    partial = path.with_name(path.name + ".partial")
    try:
        with writing(path):
            if source.url is None:
                make(source, data, partial, downloader)
            elif compare(source, partial).state != "ok":  # a kill may have come between the last byte and the name
                downloader.get(source.url, partial, source.size)
            keep(partial, path, source)
    except Unavailable as error:
        by_hand = f". Get it from {source.url} and put it at {path}" if source.url else ""
        raise Unavailable(f"{source.file}: {error}{by_hand}") from error
    downloader.note(f"{source.file}: {path.stat().st_size:,} bytes")
    return True


def make(source: Source, data: Data, path: Path, downloader: Downloader) -> None:
    """Make a file from the others that it is made from."""
    if source.member:
        unpack(data.root / source.made_from[0], source.member, path)
    else:
        BUILDERS[source.file](data, path, downloader)


def unpack(archive: Path, member: str, path: Path) -> None:
    """Write one member of a zip archive to a file. Raises InputError where the archive is broken or has no such member."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as packed, path.open("wb") as file:
            shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, KeyError) as error:
        raise InputError(
            f"{archive}: expected a zip archive with {member} ({error}). Remove it to fetch it again"
        ) from error


def object_halbench_questions(data: Data, path: Path, downloader: Downloader) -> None:
    """The 300 questions without the images that the official file carries inside."""
    official = data.root / "downloads/obj_halbench_300_with_image.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for index, (line, row) in enumerate(read_jsonl(official)):
            try:
                image = int(row["image_id"])
                name = f"COCO_val2014_{image:012d}.jpg"
                asked = {
                    "idx": index,
                    "org_idx": int(row["org_idx"]),
                    "image_id": image,
                    "image_file": name,
                    "question": row["question"],
                }
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{official}:{line}: expected image_id, org_idx and question ({error!r})") from error
            file.write(dumps(asked) + "\n")


def coco_objects(mode: str) -> Callable[[Data, Path, Downloader], None]:
    """A builder of the truth that CHAIR scores against, from COCO's annotations."""

    def build(data: Data, path: Path, downloader: Downloader) -> None:
        from halbench.coco_truth import build_truth, write_truth

        task = downloader.progress.add_task(f"objects of COCO 2014 ({mode})", total=None, unit="captions")
        archive = data.root / "downloads/annotations_trainval2014.zip"

        def advance(done: int, total: int) -> None:
            downloader.progress.update(task, completed=done, total=total)

        processes = min(BUILD_PROCESSES, os.cpu_count() or 1)
        truth = build_truth(archive, data.file("chair/synonyms.txt"), mode, data, processes, advance)
        downloader.progress.remove_task(task)
        write_truth(path, truth)

    return build


BUILDERS: Mapping[str, Callable[[Data, Path, Downloader], None]] = {
    "object_halbench/questions_300.jsonl": object_halbench_questions,
    "chair/coco2014_objects_wordnet.json.gz": coco_objects("wordnet"),
    "chair/coco2014_objects_pattern.json.gz": coco_objects("pattern"),
}


def fetch_files(wanted: Iterable[Source], sources: Sources, data: Data, downloader: Downloader) -> list[str]:
    """Fetch files, built ones last because they are made with the others; one line for each that could not be had."""
    problems: dict[str, None] = {}
    for source in sorted(wanted, key=lambda source: (source.url is None, source.member is None)):
        try:
            fetch_file(source, sources, data, downloader)
        except InputError as error:
            problems[str(error)] = None
    return list(problems)


def fetch_images(images: ImageSource, sources: Sources, data: Data, downloader: Downloader) -> list[str]:
    """Fetch the images of a suite that are not there yet; lines for what could not be had."""
    folder = data.image_folder(images.suite)
    try:
        absent = [name for name in image_names(images.suite, data) if not (folder / name).is_file()]
    except MissingData as error:
        return [f"{images.suite} images: {error}"]
    if not absent:
        return []
    if images.by_hand:
        return [f"{images.suite}: {len(absent)} images are missing; {images.by_hand.format(folder=folder)}"]
    if images.archive:
        try:
            fetch_file(sources.files[images.archive], sources, data, downloader)
        except Unavailable as error:
            return [f"{error}, or put {len(absent)} images into {folder}"]
        unpack_images(data.root / images.archive, absent, folder)
        return []
    assert images.url is not None
    failed = download_all({name: images.url.format(name=name) for name in absent}, folder, downloader)
    if not failed:
        return []
    name, reason = failed[0]
    return [
        f"{images.suite}: {len(failed)} of {len(absent)} missing images could not be had ({name}: {reason}). "
        f"Get them from {images.url} and put them into {folder}"
    ]


def unpack_images(archive: Path, names: list[str], folder: Path) -> None:
    """Take images out of a zip archive by file name, whatever folder of it they lie in."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {Path(member).name: member for member in opened.namelist()}
    except zipfile.BadZipFile as error:
        raise InputError(f"{archive}: not a zip archive ({error}). Remove it to fetch it again") from error
    absent = [name for name in names if name not in members]
    if absent:
        raise InputError(f"{archive}: holds no {absent[0]}, and {len(names)} images are expected in it")
    for name in names:
        with writing(folder / name):
            partial = folder / (name + ".partial")
            unpack(archive, members[name], partial)
            os.replace(partial, folder / name)


def download_all(urls: Mapping[str, str], folder: Path, downloader: Downloader) -> list[tuple[str, str]]:
    """Download files side by side into a folder; (name, reason) of each that could not be had."""

    def one(name: str) -> tuple[str, str] | None:
        partial = folder / (name + ".partial")
        try:
            with writing(partial):
                downloader.get(urls[name], partial, shown=False)
                os.replace(partial, folder / name)
        except Unavailable as error:
            return name, str(error)
        return None

    task = downloader.progress.add_task(str(folder), total=len(urls), unit="images")
    failed = []
    with ThreadPoolExecutor(IMAGES_AT_ONCE) as pool:
        for failure in pool.map(one, urls):
            downloader.progress.advance(task)
            failed += [failure] if failure else []
    downloader.progress.remove_task(task)
    return failed
