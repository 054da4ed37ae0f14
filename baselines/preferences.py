"""Preference data in the layouts people have -> one validated, hashed set of pairs.

    read_pairs("pairs/")                        our own folder: pairs.jsonl and images/
    read_pairs("RLHF-V-Dataset.parquet")        a file in any of LAYOUTS, or a folder of one kind of them
    read_pairs("openbmb/RLAIF-V-Dataset")       a dataset of the Hugging Face hub

One line of our own pairs.jsonl (id, regions and meta may be absent; boxes in pixels of the stored image):

    {"id": "17", "image": "images/17.jpg", "prompt": "Describe this image.", "chosen": "A dog.", "rejected": "A cat.",
     "regions": [{"name": "dog", "box": [12, 40, 96, 130]}], "meta": {"source": "..."}}

Every image is decoded once, since a file that is cut short would only show in the middle of training. Prompts and answers
are stripped: the model's template adds the spaces it wants. A bad row is left out and reported by its place and reason;
when more than `tolerate` of all rows are bad, nothing is returned.
"""

import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from PIL import Image

from baselines.types import Pair, Region
from halbench.errors import InputError, MissingExtra
from halbench.records import content_hash, read_json, read_jsonl

PLACEHOLDER = "<image>"
OWN_FILE = "pairs.jsonl"
OWN_FIELDS = ("id", "image", "prompt", "chosen", "rejected", "regions", "meta")
SUFFIXES = (".jsonl", ".json", ".parquet")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
# mDPO publishes prompts inside LLaVA-1.5's template; only the user's words are ours.
LLAVA_PROMPT = re.compile(r".*?\bUSER:\s*(?P<words>.*?)\s*ASSISTANT:\s*", re.DOTALL)
SHOWN = 3  # bad rows in an error message
CHUNK = 256  # rows in memory at once, since they may hold their images


class BadRow(Exception):
    """Why a row is no preference. reason: what is counted; the message tells the row's own trouble."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Dropped:
    """A row that was left out. where: file:line or dataset:row."""

    where: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}: {self.detail}"


@dataclass(frozen=True)
class PreferenceSet:
    """All pairs that training may see, in the order of their rows.

    hash: of every pair in this order (id, prompt, answers, bytes of the image, regions); what a seed shuffles starts from
    this order, so it is the hash that has to agree. unordered_hash: the same whatever the order, to tell "the same pairs in
    another order" from "other pairs". meta is in neither. image_hashes: path -> SHA-256 of the file.
    """

    pairs: Sequence[Pair]
    hash: str
    unordered_hash: str
    dropped: Sequence[Dropped]
    image_hashes: Mapping[Path, str]


@dataclass(frozen=True)
class Draft:
    """A row as its layout reads it, not yet checked. image: path, encoded bytes, or a mapping with either."""

    image: Any
    prompt: str
    chosen: str
    rejected: str
    id: str | None = None
    regions: Any = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """A good row; its pair has the id of the row, or "" where the row has none. image_hash: of the image's bytes."""

    where: str
    pair: Pair
    image_hash: str


@dataclass(frozen=True)
class Row:
    """A row as it was read. where: for messages. folder: what relative image paths start from."""

    where: str
    folder: Path
    values: Mapping[str, Any]


def read_pairs(
    source: str | Path,
    images: Path | None = None,
    image_cache: Path | None = None,
    split: str = "train",
    limit: int | None = None,
    tolerate: float = 0.01,
) -> PreferenceSet:
    """The pairs of a folder, a file or a hub dataset.

    images: folder that relative image paths start from (default: where the file lies). image_cache: where images that come
    as bytes are written, once each, under the hash of their content. split: of a hub dataset. limit: only the first rows.
    """
    found_rows = islice(_rows(source, split, limit), limit)
    first = next(found_rows, None)
    if first is None:
        raise InputError(f"{source} holds no rows; expected preference pairs")
    own = Path(first.where.rpartition(":")[0]).name == OWN_FILE
    layout = own_layout if own else layout_of(first)
    cache = image_cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "halbench" / "images"

    def checked(row: Row) -> Checked | Dropped:
        try:
            return _checked(row.where, layout(row.values), images or row.folder, cache)
        except BadRow as bad:
            return Dropped(row.where, bad.reason, str(bad))
        except (LookupError, TypeError, AttributeError, ValueError) as error:  # what a row of another shape leads to
            return Dropped(row.where, "malformed row", f"{type(error).__name__}: {error}")

    results: list[Checked | Dropped] = []
    rows = chain([first], found_rows)
    with ThreadPoolExecutor() as pool:  # decoding images releases the interpreter
        while chunk := list(islice(rows, CHUNK)):
            results += pool.map(checked, chunk)
    found, dropped = _with_unique_ids(results, strict=own)
    if len(dropped) > tolerate * len(results):
        counts = ", ".join(f"{times} {reason}" for reason, times in Counter(row.reason for row in dropped).items())
        raise InputError(
            f"{source}: {len(dropped)} of {len(results)} rows are no usable preference, more than the {tolerate:.0%} "
            f"tolerated ({counts}). The first: {'; '.join(map(str, dropped[:SHOWN]))}"
        )
    digests = [pair_digest(result.pair, result.image_hash) for result in found]
    hashes = {result.pair.image: result.image_hash for result in found}
    pairs = [result.pair for result in found]
    return PreferenceSet(pairs, content_hash(digests), content_hash(sorted(digests)), dropped, hashes)


def pair_digest(pair: Pair, image_hash: str) -> str:
    """What a pair is: all of it but its meta and where its image lies."""
    return content_hash([pair.id, pair.prompt, pair.chosen, pair.rejected, pair.regions, image_hash], 64)


def open_image(path: Path) -> Image.Image:
    """An image as RGB, exactly as it is stored; EXIF rotation is not applied, as in halbench.backends.hf."""
    with Image.open(path) as file:
        return file.convert("RGB")


# --- where rows come from


def _rows(source: str | Path, split: str, limit: int | None) -> Iterator[Row]:
    path = Path(source)
    if not path.exists():
        if HUB_NAME.fullmatch(str(source)):
            return _hub_rows(str(source), split, limit)
        raise InputError(
            f"{source} does not exist; expected a folder with {OWN_FILE}, a .jsonl, .json or .parquet file, or a hub dataset"
        )
    return (row for file in _files(path) for row in _file_rows(file))


def _files(path: Path) -> list[Path]:
    """The file itself; of a folder pairs.jsonl, else its files of one kind, sorted (the shards of a dataset)."""
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise InputError(f"{path}: expected a .jsonl, .json or .parquet file")
        return [path]
    if (path / OWN_FILE).is_file():
        return [path / OWN_FILE]
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
    kinds = sorted({file.suffix for file in files})
    if len(kinds) != 1:
        found = f"{' and '.join(kinds)} files" if kinds else "none"
        raise InputError(f"{path}: expected {OWN_FILE} or files of one kind ({', '.join(SUFFIXES)}); found {found}")
    return files


def _file_rows(file: Path) -> Iterator[Row]:
    """Rows of one file; `where` counts lines of a JSONL file, and rows from 1 elsewhere."""
    rows: Iterable[tuple[int, Any]]
    if file.suffix == ".jsonl":
        rows = read_jsonl(file)
    elif file.suffix == ".json":
        values = read_json(file)
        if not isinstance(values, list):
            raise InputError(f"{file}: expected a list of rows, found {type(values).__name__}")
        rows = enumerate(values, 1)
    else:
        rows = enumerate(_parquet_rows(file), 1)
    for number, row in rows:
        if not isinstance(row, dict):
            raise InputError(f"{file}:{number}: expected a JSON object, found {type(row).__name__}")
        yield Row(f"{file}:{number}", file.parent, row)


def _parquet_rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{file}: Parquet needs: pip install 'halbench[train]' (no module 'pyarrow')") from error
    for batch in ParquetFile(file).iter_batches(batch_size=64):  # images come embedded: a whole shard may not fit
        yield from batch.to_pylist()


def _hub_rows(name: str, split: str, limit: int | None) -> Iterator[Row]:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{name} is no file here; a hub dataset needs: pip install 'halbench[train]' (no module 'datasets')"
        ) from error
    try:
        found = datasets.load_dataset(name, split=split)
    except (OSError, ValueError) as error:  # what datasets raises for an unknown name, split or no connection
        raise InputError(f"{name}: the hub did not give split '{split}' ({str(error).splitlines()[0]})") from error
    found = found.select(range(min(limit or len(found), len(found))))
    for column, kind in found.features.items():  # bytes as they are stored, not decoded and encoded again
        if isinstance(kind, datasets.Image):
            found = found.cast_column(column, datasets.Image(decode=False))
        elif isinstance(getattr(kind, "feature", None), datasets.Image):
            found = found.cast_column(column, type(kind)(datasets.Image(decode=False)))
    for number, row in enumerate(found, 1):
        yield Row(f"{name}:{number}", Path(), row)


# --- layouts: the fields that tell one, and how it is read


def own_layout(row: Mapping[str, Any]) -> Draft:
    unknown = [name for name in row if name not in OWN_FIELDS]
    if unknown:
        raise BadRow("unknown field", f"'{unknown[0]}' (fields: {', '.join(OWN_FIELDS)})")
    return plain(row)


def plain(row: Mapping[str, Any]) -> Draft:
    """prompt, chosen, rejected as text or as TRL's messages; image, images or img_path."""
    image = _image(row)
    prompt = _words(row, "prompt")
    return Draft(
        image,
        prompt,
        _words(row, "chosen"),
        _words(row, "rejected"),
        _id(row),
        row.get("regions") or (),
        row.get("meta") or _rest(row),
    )


def trl_implicit(row: Mapping[str, Any]) -> Draft:
    """TRL's messages with the prompt at the head of both answers."""
    chosen, rejected = row["chosen"], row["rejected"]
    if not isinstance(chosen, list) or not isinstance(rejected, list):
        raise BadRow("malformed row", "expected messages in 'chosen' and 'rejected' of a row without 'prompt'")
    if chosen[:-1] != rejected[:-1]:
        raise BadRow("malformed row", "chosen and rejected answer different prompts")
    return plain({**row, "prompt": chosen[:-1], "chosen": chosen[-1:], "rejected": rejected[-1:]})


def mdpo(row: Mapping[str, Any]) -> Draft:
    """luka-group/mDPO's vlfeedback_llava_10k.json: img_path, prompt (LLaVA-1.5's template around it), chosen, rejected."""
    prompt = _text(row, "prompt")
    if prompt.count("USER:") > 1:
        raise BadRow("more than one turn", "the prompt holds several turns; a pair has one")
    inside = LLAVA_PROMPT.fullmatch(prompt)
    return plain({**row, "prompt": inside["words"] if inside else prompt})


def rlhf_v(row: Mapping[str, Any]) -> Draft:
    """openbmb/RLHF-V-Dataset: question and answers are a JSON object in `text`."""
    text = row["text"]
    try:
        answers = json.loads(text) if isinstance(text, str) else text
    except json.JSONDecodeError as error:
        raise BadRow("malformed row", f"'text' is not valid JSON ({error.msg})") from error
    if not isinstance(answers, dict):
        raise BadRow("malformed row", f"expected an object in 'text', found {type(answers).__name__}")
    return rlaif_v({**row, **answers})


def rlaif_v(row: Mapping[str, Any]) -> Draft:
    """openbmb/RLAIF-V-Dataset: question, chosen, rejected, image {bytes, path}, idx."""
    return Draft(
        _image(row),
        _text(row, "question"),
        _text(row, "chosen"),
        _text(row, "rejected"),
        _id(row),
        row.get("regions") or (),
        _rest(row),
    )


def conversations(row: Mapping[str, Any]) -> Draft:
    """LLaVA's turns. The answers are in chosen and rejected (LLaMA-Factory), in a second list of turns
    rejected_conversations (POVID), or in output_1 and output_2 with the preference 1 or 2 (LLaVA-RLHF)."""
    turns = row["conversations"]
    if "rejected_conversations" in row:
        other = row["rejected_conversations"]
        if turns[:-1] != other[:-1]:
            raise BadRow("malformed row", "conversations and rejected_conversations ask different questions")
        turns, chosen, rejected = turns[:-1], turns[-1], other[-1]
    elif "preference" in row:
        if row["preference"] not in (1, 2):
            raise BadRow("malformed row", f"expected preference 1 or 2, found {row['preference']!r}")
        chosen, rejected = row["output_1"], row["output_2"]
        chosen, rejected = (chosen, rejected) if row["preference"] == 1 else (rejected, chosen)
    else:
        chosen, rejected = row["chosen"], row["rejected"]
    said = {"prompt": turns, "chosen": chosen, "rejected": rejected}
    return plain({**{name: value for name, value in row.items() if name not in CONVERSATION_FIELDS}, **said})


CONVERSATION_FIELDS = ("conversations", "rejected_conversations", "output_1", "output_2", "preference")

LAYOUTS: Sequence[tuple[str, Sequence[str], Callable[[Mapping[str, Any]], Draft]]] = (
    ("LLaVA conversations", ("conversations", "chosen", "rejected"), conversations),
    ("LLaVA conversations", ("conversations", "rejected_conversations"), conversations),
    ("LLaVA conversations", ("conversations", "output_1", "output_2", "preference"), conversations),
    ("mDPO", ("img_path", "prompt", "chosen", "rejected"), mdpo),
    ("plain or TRL", ("image", "prompt", "chosen", "rejected"), plain),
    ("plain or TRL", ("images", "prompt", "chosen", "rejected"), plain),
    ("RLAIF-V", ("image", "question", "chosen", "rejected"), rlaif_v),
    ("RLHF-V", ("image", "text"), rlhf_v),
    ("TRL", ("image", "chosen", "rejected"), trl_implicit),
    ("TRL", ("images", "chosen", "rejected"), trl_implicit),
)
"""Name, the fields that tell it, how it is read. The first that fits the first row is the layout of all rows."""


def layout_of(row: Row) -> Callable[[Mapping[str, Any]], Draft]:
    for _, fields, read in LAYOUTS:
        if all(name in row.values for name in fields):
            return read
    known = "; ".join(f"{name}: {', '.join(fields)}" for name, fields, _ in LAYOUTS)
    raise InputError(f"{row.where}: no known layout has the fields {', '.join(row.values)}. Known: {known}")


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise BadRow("malformed row", f"expected text in '{name}', found {type(value).__name__}")
    return value


def _words(row: Mapping[str, Any], name: str) -> str:
    """The text of a field that is text, one message, or a list of one message."""
    value = row.get(name)
    turns = value if isinstance(value, list) else [value]
    if len(turns) != 1:
        raise BadRow(
            "more than one turn", f"'{name}' holds {len(turns)} messages; a pair has one question and one answer"
        )
    said = turns[0]
    if isinstance(said, Mapping):
        said = said.get("content", said.get("value"))
    if isinstance(said, list):  # TRL's parts
        said = "".join(PLACEHOLDER if part.get("type") == "image" else _text(part, "text") for part in said)
    return _text({name: said}, name)


def _image(row: Mapping[str, Any]) -> Any:
    image = next((row[name] for name in ("image", "images", "img_path") if row.get(name) is not None), None)
    if isinstance(image, list):
        if len(image) != 1:
            raise BadRow("not one image", f"the row has {len(image)} images; a pair has one")
        return image[0]
    return image


def _id(row: Mapping[str, Any]) -> str | None:
    found = next((row[name] for name in ("id", "idx") if row.get(name) not in (None, "")), None)
    return None if found is None else str(found)


def _rest(row: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of a foreign row that have no place in a pair."""
    known = {"prompt", "question", "chosen", "rejected", "text", "image", "images", "img_path", "id", "idx", "regions"}
    return {name: v for name, v in row.items() if name not in known and isinstance(v, str | int | float | bool)}


# --- checks


def _checked(where: str, draft: Draft, folder: Path, cache: Path) -> Checked:
    prompt = _without_placeholder(draft.prompt)
    chosen, rejected = draft.chosen.strip(), draft.rejected.strip()
    for name, text in (("prompt", prompt), ("chosen", chosen), ("rejected", rejected)):
        if not text:
            raise BadRow("empty text", f"'{name}' is empty")
        if PLACEHOLDER in text:
            raise BadRow("misplaced image placeholder", f"{PLACEHOLDER} stands in '{name}'")
    if chosen == rejected:
        raise BadRow("equal answers", "chosen and rejected are the same text")
    path, data = _located(draft.image, folder, cache)
    size = _decoded_size(path, data)
    regions = tuple(_region(region, size) for region in draft.regions)
    if not path.is_file():
        _keep(path, data)
    pair = Pair(draft.id or "", path, prompt, chosen, rejected, regions, draft.meta)
    return Checked(where, pair, hashlib.sha256(data).hexdigest())


def _without_placeholder(prompt: str) -> str:
    if prompt.count(PLACEHOLDER) > 1:
        raise BadRow(
            "misplaced image placeholder", f"{PLACEHOLDER} stands {prompt.count(PLACEHOLDER)} times in the prompt"
        )
    return " ".join(part for part in (half.strip() for half in prompt.split(PLACEHOLDER)) if part)


def _located(image: Any, folder: Path, cache: Path) -> tuple[Path, bytes]:
    """Where an image lies, or will lie, and its encoded bytes."""
    data = image.get("bytes") if isinstance(image, Mapping) else image
    if isinstance(data, bytes):
        return cache / hashlib.sha256(data).hexdigest()[:32], data
    name = image.get("path") if isinstance(image, Mapping) else image
    if not isinstance(name, str) or not name:
        raise BadRow("no image", f"expected a path or bytes, found {type(image).__name__}")
    path = Path(name) if Path(name).is_absolute() else folder / name
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise BadRow("image missing", f"{path} cannot be read ({error.strerror})") from error


def _decoded_size(path: Path, data: bytes) -> tuple[int, int]:
    """Width and height of an image that decodes to its end."""
    try:
        with Image.open(io.BytesIO(data)) as file:
            size = file.size
            file.draft("RGB", (size[0] // 8 or 1, size[1] // 8 or 1))  # of a JPEG: reads all of it, computes an eighth
            file.load()
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise BadRow("image unreadable", f"{path} ({str(error) or type(error).__name__})") from error
    return size


def _keep(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{id(data)}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def _region(region: Any, size: tuple[int, int]) -> Region:
    try:
        name, box = region["name"], tuple(float(edge) for edge in region["box"])
        left, top, right, bottom = box
    except (TypeError, KeyError, ValueError) as error:
        raise BadRow("malformed region", f"expected name and box [x0, y0, x1, y1], found {region!r}") from error
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise BadRow(
            "malformed region", f"box {list(box)} of '{name}' does not lie within the image of {size[0]}x{size[1]}"
        )
    return Region(str(name), (left, top, right, bottom))


def _with_unique_ids(results: Sequence[Checked | Dropped], strict: bool) -> tuple[list[Checked], list[Dropped]]:
    """Good rows with ids of their own, and the others.

    A row without id gets its number. A repeated id is an error in our own layout (strict); elsewhere ids name images or
    questions as often as pairs, so the second pair of "17" becomes "17#2".
    """
    found: list[Checked] = []
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
        found.append(replace(result, pair=replace(result.pair, id=name)))
    return found, dropped
