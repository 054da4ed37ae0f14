"""Preference data in the layouts people have -> one validated, hashed set of pairs.

    read_pairs("pairs/")                        our own folder: pairs.jsonl and images/
    read_pairs("RLHF-V-Dataset.parquet")        a file in any known layout (layouts.py), or a folder of such files
    read_pairs("openbmb/RLAIF-V-Dataset")       a dataset of the Hugging Face hub

One line of our own pairs.jsonl (id, regions, meta and rejected_images may be absent; boxes in pixels of the stored
image; "images" is a list of none, one or several):

    {"id": "17", "image": "images/17.jpg", "prompt": "Describe this image.", "chosen": "A dog.", "rejected": "A cat.",
     "regions": [{"name": "dog", "box": [12, 40, 96, 130]}], "meta": {"source": "..."}, "rejected_images": ["images/9.jpg"]}

Every image is decoded once: a truncated file would otherwise show only in the middle of training. Prompts and answers
are stripped, since the model's template adds the spaces that it needs. A bad row is left out and reported with its line
and the reason; if more than `tolerate` of all rows are bad, nothing is returned.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path

from baselines.pairs.checks import Checked, checked
from baselines.pairs.content_hashes import pair_digest
from baselines.pairs.layouts import BadRow, layout_of, own_layout
from baselines.pairs.rows import OWN_FILE, Row, rows_of
from baselines.types import Pair
from halbench.errors import InputError
from halbench.files.records import content_hash
from halbench.files.user_cache import user_cache

SHOWN = 3  # bad rows in an error message
CHUNK = 256  # rows in memory at once, since they may hold their images


@dataclass(frozen=True)
class Dropped:
    """A row that was left out. where: file:line, or dataset:row."""

    where: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}: {self.detail}"


@dataclass(frozen=True)
class PreferenceSet:
    """All pairs that training may see, in the order of their rows.

    hash: of every pair in this order, which is where shuffling starts: id, prompt, answers, bytes of the images,
    regions; not its meta.
    """

    pairs: Sequence[Pair]
    hash: str
    dropped: Sequence[Dropped]


def read_pairs(
    source: str | Path,
    images: Path | None = None,
    image_cache: Path | None = None,
    limit: int | None = None,
    tolerate: float = 0.01,
) -> PreferenceSet:
    """The pairs of a folder, a file or a hub dataset.

    images: folder that relative image paths start from (default: the file's). image_cache: folder for images that come
    as bytes; each is written once, under the hash of its content. limit: only the first rows.
    """
    rows: Iterator[Row] = islice(rows_of(source, limit), limit)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{source} contains no rows; expected preference pairs")
    own = Path(first.where.rpartition(":")[0]).name == OWN_FILE
    layout = own_layout if own else layout_of(first)
    cache = image_cache or user_cache() / "images"

    def checked_row(row: Row) -> Checked | Dropped:
        try:
            return checked(row.where, layout(row.values), images or row.folder, cache)
        except BadRow as bad:
            return Dropped(row.where, bad.reason, str(bad))
        except (LookupError, TypeError, AttributeError, ValueError) as error:  # a row of another shape
            return Dropped(row.where, "malformed row", f"{type(error).__name__}: {error}")

    results: list[Checked | Dropped] = []
    rows = chain([first], rows)
    with ThreadPoolExecutor() as pool:  # decoding images releases the interpreter
        while chunk := list(islice(rows, CHUNK)):
            results += pool.map(checked_row, chunk)
    good, dropped = _with_unique_ids(results, strict=own)
    if len(dropped) > tolerate * len(results):
        counts = ", ".join(f"{times} {reason}" for reason, times in Counter(row.reason for row in dropped).items())
        raise InputError(
            f"{source}: {len(dropped)} of {len(results)} rows are not valid pairs, more than the {tolerate:.0%} "
            f"tolerated ({counts}). The first: {'; '.join(map(str, dropped[:SHOWN]))}"
        )
    digests = [pair_digest(result.pair, result.file_hashes) for result in good]
    return PreferenceSet([result.pair for result in good], content_hash(digests), dropped)


def _with_unique_ids(results: Sequence[Checked | Dropped], strict: bool) -> tuple[list[Checked], list[Dropped]]:
    """Good rows with ids of their own, and the others.

    A row without id gets its number. A repeated id is an error in our own layout (strict). In others an id may as well
    be that of an image or a question, so the second pair of "17" becomes "17#2".
    """
    good: list[Checked] = []
    dropped: list[Dropped] = []
    taken: set[str] = set()
    for number, result in enumerate(results, 1):
        if isinstance(result, Dropped):
            dropped.append(result)
            continue
        name = result.pair.id or str(number)
        if name in taken and strict:
            dropped.append(Dropped(result.where, "repeated id", f"'{name}' is the id of an earlier row"))
            continue
        name = next(new for new in chain([name], (f"{name}#{again}" for again in count(2))) if new not in taken)
        taken.add(name)
        good.append(replace(result, pair=replace(result.pair, id=name)))
    return good, dropped
