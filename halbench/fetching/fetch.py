"""Fetching data files: downloads that resume and are hashed before they get their name, unpacked archives, built truth.

A file that is right is not touched, and one that is wrong is never overwritten. A file that is not available now is one
line that says which file, where to get it and where to put it; the others are fetched all the same.
"""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from halbench.data.datasets import Data, ImageSource, Source, Sources, compare, path_of
from halbench.errors import InputError, MissingData
from halbench.fetching.downloads import Downloader, Unavailable, download_all, keep, writing
from halbench.fetching.suite_state import image_names
from halbench.files.records import dumps, read_jsonl
from halbench.terminal.progress import say

LOCK = ".fetch.lock"
BUILD_PROCESSES = 8  # at most; with two, COCO's 616,767 captions take about four minutes


@contextmanager
def one_fetch_at_a_time(data: Data) -> Iterator[None]:
    """Hold the data folder, because two fetches would write the same unfinished files. Waits for another fetch to end."""
    lock = FileLock(data.root / LOCK, fallback_to_soft=False)
    with writing(data.root / LOCK):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another halbench is fetching into {data.root}; waiting for it to finish")
            lock.acquire()
        except NotImplementedError:
            say(f"the file system of {data.root} has no locks; do not run a second fetch into it at the same time")
    try:
        yield
    finally:
        lock.release()


def fetch_file(source: Source, sources: Sources, data: Data, downloader: Downloader) -> bool:
    """Make sure that a file exists. Returns whether it had to be fetched. Raises Unavailable with the line for the user."""
    path = path_of(source, data)
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
            elif (
                compare(source, partial).state != "ok"
            ):  # complete if a kill came between its last byte and its renaming
                downloader.get(source.url, partial, source.size)
            keep(partial, path, source)
    except Unavailable as error:
        by_hand = f". Get it from {source.url} and put it at {path}" if source.url else ""
        raise Unavailable(f"{source.file}: {error}{by_hand}") from error
    say(f"{source.file}: {path.stat().st_size:,} bytes")
    return True


def make(source: Source, data: Data, path: Path, downloader: Downloader) -> None:
    """Make a file from other files: unpack it, or build it."""
    if source.member:
        unpack(data.root / source.made_from[0], source.member, path)
    else:
        BUILDERS[source.file](data, path, downloader)


def unpack(archive: Path, member: str, path: Path) -> None:
    """Write one member of a zip archive to a file. Raises InputError if the archive is damaged or has no such member."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as packed, path.open("wb") as file:
            shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, KeyError) as error:
        raise InputError(
            f"{archive}: expected a zip archive with {member} ({error}). Remove it to fetch it again"
        ) from error


def object_halbench_questions(data: Data, path: Path, downloader: Downloader) -> None:
    """The 300 questions of the official file, without the images that it contains."""
    official = data.root / "downloads/obj_halbench_300_with_image.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for index, (line, row) in enumerate(read_jsonl(official)):
            try:
                image = int(row["image_id"])
                name = f"COCO_val2014_{image:012d}.jpg"
                question = {
                    "idx": index,
                    "org_idx": int(row["org_idx"]),
                    "image_id": image,
                    "image_file": name,
                    "question": row["question"],
                }
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{official}:{line}: expected image_id, org_idx and question ({error!r})") from error
            file.write(dumps(question) + "\n")


def coco_objects(mode: str) -> Callable[[Data, Path, Downloader], None]:
    """A builder of CHAIR's ground truth from COCO's annotations."""

    def build(data: Data, path: Path, downloader: Downloader) -> None:
        from halbench.scoring_tools.coco_truth import build_truth, write_truth

        archive = data.root / "downloads/annotations_trainval2014.zip"
        processes = min(BUILD_PROCESSES, os.cpu_count() or 1)
        write_truth(path, build_truth(archive, data.file("chair/synonyms.txt"), mode, data, processes))

    return build


BUILDERS: Mapping[str, Callable[[Data, Path, Downloader], None]] = {
    "object_halbench/questions_300.jsonl": object_halbench_questions,
    "chair/coco2014_objects_wordnet.json.gz": coco_objects("wordnet"),
    "chair/coco2014_objects_pattern.json.gz": coco_objects("pattern"),
}


def fetch_files(files: Iterable[Source], sources: Sources, data: Data, downloader: Downloader) -> list[str]:
    """Fetch files, built ones last because they need the others. Returns one line for each that is not available."""
    problems: dict[str, None] = {}
    for source in sorted(files, key=lambda source: (source.url is None, source.member is None)):
        try:
            fetch_file(source, sources, data, downloader)
        except InputError as error:
            problems[str(error)] = None
    return list(problems)


def fetch_images(images: ImageSource, sources: Sources, data: Data, downloader: Downloader) -> list[str]:
    """Fetch the missing images of a suite. Returns lines about those that are not available."""
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
        f"{images.suite}: {len(failed)} of {len(absent)} missing images are not available ({name}: {reason}). "
        f"Get them from {images.url} and put them into {folder}"
    ]


def unpack_images(archive: Path, names: list[str], folder: Path) -> None:
    """Unpack images from a zip archive by file name, from whichever folder they are in."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {Path(member).name: member for member in opened.namelist()}
    except zipfile.BadZipFile as error:
        raise InputError(f"{archive}: not a zip archive ({error}). Remove it to fetch it again") from error
    absent = [name for name in names if name not in members]
    if absent:
        raise InputError(f"{archive} has no {absent[0]}; expected {len(names)} images in it")
    for name in names:
        with writing(folder / name):
            partial = folder / (name + ".partial")
            unpack(archive, members[name], partial)
            os.replace(partial, folder / name)
