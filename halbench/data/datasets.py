"""The suites' data files: where they are, what they should contain, where they come from.

The data folder has one folder per suite, laid out as the authors publish it:

    amber/annotations.json  amber/relation.json  amber/query/query_all.json  amber/images/AMBER_1.jpg
    chair/synonyms.txt      chair/coco2014_objects_wordnet.json.gz
    nltk_data/...           downloads/...  archives from which other files were made; may be deleted

sources.json lists every file with its origin and SHA-256. The digest is of the bytes or, for contents with several byte
forms, of what matters: the JSON value, the unzipped text, the sorted lines of a set. One match is enough.
"""

import gzip
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from halbench.errors import InputError, MissingData, did_you_mean
from halbench.files.records import content_hash, file_hash, from_row, read_json
from halbench.files.user_cache import user_cache

SOURCES = Path(__file__).with_name("sources.json")
NLTK_FOLDER = "nltk_data/"


@dataclass(frozen=True)
class Data:
    """The data folder, the images' folder if that is elsewhere, and the folder for files that halbench makes."""

    root: Path
    images: Path | None = None
    cache: Path | None = None

    def file(self, name: str) -> Path:
        """The path of a data file such as "amber/annotations.json"; MissingData says how to get it."""
        path = self.root / name
        if not path.is_file():
            raise MissingData(f"{path} is missing. Get it with: halbench data fetch {name.split('/')[0]}")
        return path

    def made(self, name: str) -> Path:
        """Path of a file that halbench makes itself; not in HALBENCH_DATA, which may be shared and read-only."""
        return (self.cache or self.root) / name

    def image_folder(self, suite: str) -> Path:
        """Folder with a suite's images: --images DIR, else images/ in the suite's own folder. It may not exist."""
        return self.images or self.root / suite / "images"


def open_data(root: Path | None = None, images: Path | None = None) -> Data:
    """The data folder: `root`, else HALBENCH_DATA, else the user's cache folder."""
    cache = user_cache()
    return Data(root or Path(os.environ.get("HALBENCH_DATA") or cache), images, root or cache)


@dataclass(frozen=True)
class Source:
    """One file of the data folder, downloaded from `url`, extracted from an archive (`made_from`, `member`), or built from
    `made_from`.

    suites: that use it. use: "score" to score stored responses, "optional" for one option or prompt, "build" only to make
    other files. sha256: what is hashed (a key of DIGESTS) -> hex digest; empty: not pinned.
    """

    file: str
    suites: Sequence[str]
    licence: str
    sha256: Mapping[str, str]
    use: Literal["score", "optional", "build"] = "score"
    url: str | None = None
    made_from: Sequence[str] = ()
    member: str | None = None
    size: int | None = None
    note: str = ""


@dataclass(frozen=True)
class ImageSource:
    """The images of a suite: one `url` per {name}, an `archive` of named images, or instructions to get them `by_hand`."""

    suite: str
    licence: str
    url: str | None = None
    archive: str | None = None
    by_hand: str | None = None


@dataclass(frozen=True)
class Sources:
    """The contents of sources.json. files: by name. images: by suite."""

    files: Mapping[str, Source]
    images: Mapping[str, ImageSource]

    def suites(self) -> list[str]:
        return sorted({suite for source in self.files.values() for suite in source.suites})

    def of(self, suite: str | None) -> list[Source]:
        """The files of one suite (None: of all), without those that serve only to build others."""
        if suite is not None and suite not in self.suites():
            raise InputError(f"no suite with downloadable data is called '{suite}'{did_you_mean(suite, self.suites())}")
        return [source for source in self.files.values() if source.suites and (suite is None or suite in source.suites)]


def read_sources(path: Path = SOURCES) -> Sources:
    """The catalogue of data files. Raises InputError that names an entry with unknown or missing fields."""
    catalogue = read_json(path)
    files = [from_row(Source, row, f"{path}: file {number}") for number, row in enumerate(catalogue["files"], 1)]
    images = [
        from_row(ImageSource, row, f"{path}: images {number}") for number, row in enumerate(catalogue["images"], 1)
    ]
    return Sources({source.file: source for source in files}, {source.suite: source for source in images})


def _unzipped(path: Path) -> str:
    with gzip.open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json_value(path: Path) -> str:
    return content_hash(json.loads(path.read_bytes()), 64)


def _sorted_lines(path: Path) -> str:
    return hashlib.sha256(b"\n".join(sorted(path.read_bytes().split(b"\n")))).hexdigest()


def _lemma_files(path: Path) -> str:
    """Digest of the index and exception files in an archive of WordNet, on which lemmas depend."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as archive:
        for pos in ("adj", "adv", "noun", "verb"):
            for name in (f"{pos}.exc", f"index.{pos}"):
                digest.update(name.encode() + b"\0" + hashlib.sha256(archive.read(f"wordnet/{name}")).digest())
    return digest.hexdigest()


DIGESTS: Mapping[str, Callable[[Path], str]] = {
    "bytes": file_hash,
    "json": _json_value,
    "unzipped": _unzipped,
    "sorted lines": _sorted_lines,
    "lemma files": _lemma_files,
}


def digest(path: Path, of: str) -> str:
    """SHA-256 of one aspect of a file; "unreadable" if it cannot be read in this form."""
    try:
        return DIGESTS[of](path)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, KeyError, ValueError):
        return "unreadable"


@dataclass(frozen=True)
class FileState:
    """The state of a data file. expected, found: digests, if they differ."""

    source: Source
    path: Path
    state: Literal["ok", "differs", "missing", "unpinned"]
    expected: str | None = None
    found: str | None = None


def compare(source: Source, path: Path) -> FileState:
    """The state of the file at `path` against the pinned digests of `source`."""
    if not path.is_file():
        return FileState(source, path, "missing")
    if not source.sha256:
        return FileState(source, path, "unpinned")
    digests = {of: digest(path, of) for of in source.sha256}
    if any(digests[of] == expected for of, expected in source.sha256.items()):
        return FileState(source, path, "ok")
    of, expected = next(iter(source.sha256.items()))
    return FileState(source, path, "differs", expected, digests[of])


def path_of(source: Source, data: Data) -> Path:
    """Path of a data file, which may not exist. NLTK's resources are also found in NLTK's own folders."""
    if source.file.startswith(NLTK_FOLDER):
        import nltk

        for folder in nltk.data.path:
            candidate = Path(folder) / source.file.removeprefix(NLTK_FOLDER)
            if candidate.is_file():
                return candidate
    return data.root / source.file


def file_states(sources: Iterable[Source], data: Data) -> list[FileState]:
    """The state of each file, hashed and compared."""
    return [compare(source, path_of(source, data)) for source in sources]
