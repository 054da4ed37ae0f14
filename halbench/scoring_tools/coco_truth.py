"""The objects of each COCO 2014 image, which CHAIR takes as the truth, from COCO's annotation archive.

An image's objects are its instance categories and the objects in its five captions (found like those in a model's
captions), for training and validation images together. Source: LisaAnne/Hallucination utils/chair.py.

    annotations/instances_val2014.json  {"annotations": [{"image_id": 42, "category_id": 18, ...}], "categories": [...]}
    annotations/captions_val2014.json   {"annotations": [{"image_id": 42, "caption": "A small dog is curled up ..."}]}
    -> {"42": ["dog"], ...}

The instance files hold 600 MB of polygons, so they are read element by element.
"""

import gzip
import io
import json
import multiprocessing
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import IO, Any

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.scoring_tools.coco_objects import Vocabulary, caption_words, mentions, open_vocabulary
from halbench.scoring_tools.language import Language, open_language
from halbench.terminal.progress import progress

SPLITS = ("train2014", "val2014")
BLOCK = 1 << 20
CAPTIONS_AT_ONCE = 4000

Caption = tuple[int, str]


def elements(text: IO[str], block_size: int = BLOCK) -> Iterator[tuple[str, Any]]:
    """(name, element) of every array, and (name, value) of every other member, of the JSON object in a stream.

    Keeps only one element in memory. Raises ValueError if the text is not a JSON object or is cut off.
    """
    decoder, buffer, position = json.JSONDecoder(), text.read(block_size), 0

    def more() -> None:
        nonlocal buffer, position
        block = text.read(max(block_size, len(buffer) - position))
        if not block:
            raise ValueError("ends too early")
        buffer, position = buffer[position:] + block, 0

    def symbol() -> str:
        nonlocal position
        while True:
            while position < len(buffer) and buffer[position] in " \t\r\n":
                position += 1
            if position < len(buffer):
                position += 1
                return buffer[position - 1]
            more()

    def value() -> Any:
        nonlocal position
        symbol()
        position -= 1
        while True:
            try:
                element, end = decoder.raw_decode(buffer, position)
                if end < len(buffer):  # a number may continue in the next block
                    position = end
                    return element
            except json.JSONDecodeError:
                pass
            more()

    mark = symbol()
    if mark != "{":
        raise ValueError("is not a JSON object")
    while mark != "}":
        name = value()
        symbol()  # the colon
        if symbol() == "[":
            mark = symbol()
            while mark != "]":
                position -= mark != ","
                yield name, value()
                mark = symbol()
        else:
            position -= 1
            yield name, value()
        mark = symbol()


def read_annotations(source: Path, name: str) -> Iterator[tuple[str, Any]]:
    """Elements of a file such as "instances_val2014" in COCO's archive, or in a folder with the unpacked archive."""
    path = f"annotations/{name}.json"
    try:
        if source.is_dir():
            folder = source if (source / f"{name}.json").is_file() else source / "annotations"
            with (folder / f"{name}.json").open(encoding="utf-8") as text:
                yield from elements(text)
        else:
            with zipfile.ZipFile(source) as archive, archive.open(path) as member:
                yield from elements(io.TextIOWrapper(member, "utf-8"))
    except (zipfile.BadZipFile, KeyError, FileNotFoundError, ValueError) as error:
        raise InputError(f"{source}: expected COCO's annotations_trainval2014.zip with {path} ({error})") from error


def instance_objects(source: Path, vocabulary: Vocabulary) -> dict[int, set[str]]:
    """Image id -> classes of its instances."""
    objects: dict[int, set[str]] = defaultdict(set)
    for split in SPLITS:
        names: dict[int, str] = {}
        categories: dict[int, set[int]] = defaultdict(set)
        for member, element in read_annotations(source, f"instances_{split}"):
            if member == "categories":
                names[element["id"]] = element["name"]
            elif member == "annotations":
                categories[element["image_id"]].add(element["category_id"])
        unknown = [name for name in names.values() if name not in vocabulary.category]
        if unknown:
            raise InputError(f"{source}: category '{unknown[0]}' of instances_{split} is not in the synonym list")
        for image, present in categories.items():
            objects[image] |= {vocabulary.category[names[category]] for category in present}
    return objects


def captions(source: Path) -> Iterator[Caption]:
    """(image id, caption) of every human caption."""
    for split in SPLITS:
        for member, element in read_annotations(source, f"captions_{split}"):
            if member == "annotations":
                yield element["image_id"], element["caption"]


def caption_objects(
    batch: Iterable[Caption], mode: str, vocabulary: Vocabulary, language: Language
) -> dict[int, set[str]]:
    """Image id -> classes mentioned in its captions, for every image with a caption."""
    objects: dict[int, set[str]] = defaultdict(set)
    for image, caption in batch:
        objects[image] |= {mention.category for mention in mentions(caption_words(caption, mode, language), vocabulary)}
    return objects


def build_truth(source: Path, synonyms: Path, mode: str, data: Data, processes: int = 2) -> dict[int, list[str]]:
    """Image id -> its objects, sorted; images in the order of their ids.

    source: COCO's archive or the unpacked folder. mode: how caption words get their base form, "wordnet" or "pattern".
    """
    vocabulary = open_vocabulary(synonyms)
    objects = instance_objects(source, vocabulary)
    all_captions = list(captions(source))
    with progress(f"captions of COCO 2014 ({mode})", len(all_captions)) as steps:
        for named, count in _read_captions(all_captions, mode, vocabulary, data, processes):
            for image, classes in named.items():
                objects[image] |= classes
            steps.advance(count)
    return {image: sorted(objects[image]) for image in sorted(objects)}


def _read_captions(
    captions: Sequence[Caption], mode: str, vocabulary: Vocabulary, data: Data, processes: int
) -> Iterator[tuple[dict[int, set[str]], int]]:
    """(objects of a batch of captions, size of the batch) for all captions."""
    batches = [captions[start : start + CAPTIONS_AT_ONCE] for start in range(0, len(captions), CAPTIONS_AT_ONCE)]
    if processes == 1 or len(batches) < 2:
        language = open_language(data)
        for batch in batches:
            yield caption_objects(batch, mode, vocabulary, language), len(batch)
        return
    # Spawned, not forked: a fork would copy the locks of the caller's threads (a progress bar has one).
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _open_worker, (mode, vocabulary, data)) as pool:
        try:
            for batch, named in zip(batches, pool.map(_objects_in_worker, batches), strict=True):
                yield named, len(batch)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # else an interruption would wait for all batches


_worker: dict[str, Any] = {}


def _open_worker(mode: str, vocabulary: Vocabulary, data: Data) -> None:
    _worker.update(mode=mode, vocabulary=vocabulary, language=open_language(data))


def _objects_in_worker(batch: Sequence[Caption]) -> dict[int, set[str]]:
    return caption_objects(batch, **_worker)


def write_truth(path: Path, truth: Mapping[int, Sequence[str]]) -> None:
    """Write {"image id": objects} as gzipped JSON; equal truths give equal bytes."""
    text = json.dumps({str(image): list(objects) for image, objects in truth.items()}, separators=(",", ":"))
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        packed.write(text.encode())


def read_coco_truth(path: Path) -> Mapping[str, list[str]]:
    """COCO image id -> its object classes, sorted."""
    try:
        truth: dict[str, list[str]] = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            f"{path}: not a gzipped JSON object of image id -> objects ({error}). Build it with: halbench data fetch chair"
        ) from error
    return truth
