"""Where suite data lies, what it should be, and where it comes from.

The data folder holds one folder per suite, laid out as the authors publish it:

    amber/annotations.json  amber/relation.json  amber/query/query_all.json  amber/images/AMBER_1.jpg
    chair/synonyms.txt      chair/coco2014_objects_wordnet.json.gz
    nltk_data/...           downloads/...  archives that other files were made from; may be deleted

sources.json names every file with its origin and SHA-256. A digest is of the bytes, or, where one content has several
byte forms, of what counts: the JSON value, the unzipped text, the lines of a set in order. One match is enough.
"""

import gzip
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from halbench.errors import InputError, MissingData, did_you_mean
from halbench.records import content_hash, file_hash, from_row, read_json

SOURCES = Path(__file__).with_name("sources.json")
NLTK_FOLDER = "nltk_data/"


@dataclass(frozen=True)
class Data:
    """The data folder, and where images lie when that is elsewhere."""

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
        """Where a file lies that halbench makes itself: not in HALBENCH_DATA, which may be shared and read-only."""
        return (self.cache or self.root) / name

    def image_folder(self, suite: str) -> Path:
        """Where the images of a suite lie: --images DIR, else images/ in the suite's own folder. It may not exist."""
        return self.images or self.root / suite / "images"


def open_data(root: Path | None = None, images: Path | None = None) -> Data:
    """The data folder: the one named, else HALBENCH_DATA, else the user's cache directory."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "halbench"
    return Data(root or Path(os.environ.get("HALBENCH_DATA") or cache), images, root or cache)


@dataclass(frozen=True)
class Source:
    """One file of the data folder. It is downloaded from `url`, taken out of an archive (`made_from`, `member`), or
    built from `made_from`.

    suites: whose file it is. use: "score" is needed to score stored responses, "optional" for one option or prompt,
    "build" only to make other files. sha256: what is hashed (a key of DIGESTS) -> hex digest; empty: not pinned.
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
    """The images of a suite: one `url` per {name}, an `archive` that holds them by name, or what a person must do."""

    suite: str
    licence: str
    url: str | None = None
    archive: str | None = None
    by_hand: str | None = None


@dataclass(frozen=True)
class Sources:
    """All that sources.json names. files: by name. images: by suite."""

    files: Mapping[str, Source]
    images: Mapping[str, ImageSource]

    def suites(self) -> list[str]:
        return sorted({suite for source in self.files.values() for suite in source.suites})

    def of(self, suite: str | None) -> list[Source]:
        """The files of one suite (None: of all); those that other files are built from are left out."""
        if suite is not None and suite not in self.suites():
            raise InputError(f"no data is known for '{suite}'{did_you_mean(suite, self.suites())}")
        return [source for source in self.files.values() if source.suites and (suite is None or suite in source.suites)]


def read_sources(path: Path = SOURCES) -> Sources:
    """The catalogue of data files; unknown and missing fields are errors that name the entry."""
    listed = read_json(path)
    files = [from_row(Source, row, f"{path}: file {number}") for number, row in enumerate(listed["files"], 1)]
    images = [from_row(ImageSource, row, f"{path}: images {number}") for number, row in enumerate(listed["images"], 1)]
    return Sources({source.file: source for source in files}, {source.suite: source for source in images})


def _unzipped(path: Path) -> str:
    with gzip.open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json_value(path: Path) -> str:
    return content_hash(json.loads(path.read_bytes()), 64)


def _sorted_lines(path: Path) -> str:
    return hashlib.sha256(b"\n".join(sorted(path.read_bytes().split(b"\n")))).hexdigest()


def _lemma_files(path: Path) -> str:
    """Of the index and exception files in an archive of WordNet: all that lemmas depend on."""
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
    """SHA-256 of one aspect of a file; "unreadable" where the file has no such aspect."""
    try:
        return DIGESTS[of](path)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, KeyError, ValueError):
        return "unreadable"


@dataclass(frozen=True)
class FileState:
    """What lies at the place of a data file. expected, found: digests, where they differ."""

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
    found = {of: digest(path, of) for of in source.sha256}
    if any(found[of] == expected for of, expected in source.sha256.items()):
        return FileState(source, path, "ok")
    of, expected = next(iter(source.sha256.items()))
    return FileState(source, path, "differs", expected, found[of])


def place_of(source: Source, data: Data) -> Path:
    """Where a file lies or, when it is missing, belongs. NLTK's resources may also lie where NLTK looks for them."""
    if source.file.startswith(NLTK_FOLDER):
        import nltk

        for folder in nltk.data.path:
            candidate = Path(folder) / source.file.removeprefix(NLTK_FOLDER)
            if candidate.is_file():
                return candidate
    return data.root / source.file


def file_states(sources: Iterable[Source], data: Data) -> list[FileState]:
    """Every file hashed and compared."""
    return [compare(source, place_of(source, data)) for source in sources]


@dataclass(frozen=True)
class SuiteState:
    """What is there of a suite's data, by existence. missing, optional: file names that are not there.

    images: names of the images a run asks about, None while the files that list them are missing, () where the suite has
    none. absent: those of them that are not in `folder`.
    """

    suite: str
    missing: Sequence[str]
    optional: Sequence[str]
    folder: Path
    images: Sequence[str] | None = ()
    absent: Sequence[str] = field(default=())

    def ready_to_score(self) -> bool:
        return not self.missing

    def ready_to_run(self) -> bool:
        return not self.missing and self.images is not None and not self.absent


def suite_state(suite: str, sources: Sources, data: Data) -> SuiteState:
    """What is there and what is missing, without hashing."""
    gone = [source for source in sources.of(suite) if not place_of(source, data).is_file()]
    missing = [source.file for source in gone if source.use == "score"]
    optional = [source.file for source in gone if source.use == "optional"]
    folder = data.image_folder(suite)
    if suite not in sources.images:
        return SuiteState(suite, missing, optional, folder)
    if missing:
        return SuiteState(suite, missing, optional, folder, images=None)
    images = image_names(suite, data)
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return SuiteState(suite, missing, optional, folder, images, [name for name in images if name not in there])


def image_names(suite: str, data: Data) -> list[str]:
    """File names of the images that a run of a suite with its default options asks about, each once."""
    from halbench.plugins import load

    loaded = load("halbench.suites", suite).SUITE
    return list(dict.fromkeys(item.image.name for item in loaded.load(data, loaded.options(), None).items))
