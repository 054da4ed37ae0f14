"""Where rows come from: JSONL, JSON and Parquet files, folders of them, and datasets of the hub."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halbench.errors import InputError, MissingExtra
from halbench.files.records import read_json, read_jsonl
from halbench.models.names import HUB_NAME

OWN_FILE = "pairs.jsonl"
SPLIT = "train"  # of a hub dataset
SUFFIXES = (".jsonl", ".json", ".parquet")


@dataclass(frozen=True)
class Row:
    """A row as it was read. where: file:line or dataset:row. folder: what relative image paths start from."""

    where: str
    folder: Path
    values: Mapping[str, Any]


def rows_of(source: str | Path, limit: int | None) -> Iterator[Row]:
    """The rows of a file, a folder or a dataset of the hub. limit: of a hub dataset, only the first rows."""
    path = Path(source)
    if not path.exists():
        if HUB_NAME.fullmatch(str(source)):
            return _hub_rows(str(source), limit)
        raise InputError(
            f"{source} does not exist; expected a folder with {OWN_FILE}, a .jsonl, .json or .parquet file, or a hub dataset"
        )
    return (row for file in _files(path) for row in _file_rows(file))


def _files(path: Path) -> list[Path]:
    """The file itself; of a folder its pairs.jsonl, else its files of one kind, sorted (the shards of a dataset)."""
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise InputError(f"{path}: expected a .jsonl, .json or .parquet file")
        return [path]
    if (path / OWN_FILE).is_file():
        return [path / OWN_FILE]
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
    kinds = sorted({file.suffix for file in files})
    if len(kinds) != 1:
        others = f"{' and '.join(kinds)} files" if kinds else "none"
        raise InputError(f"{path}: expected {OWN_FILE} or files of one kind ({', '.join(SUFFIXES)}); found {others}")
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


def _hub_rows(name: str, limit: int | None) -> Iterator[Row]:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{name} does not exist locally; a hub dataset needs: pip install 'halbench[train]' (no module 'datasets')"
        ) from error
    try:
        dataset = datasets.load_dataset(name, split=SPLIT)
    except (OSError, ValueError) as error:  # what datasets raises for an unknown name, split or no connection
        raise InputError(
            f"{name}: split '{SPLIT}' cannot be loaded from the hub ({str(error).splitlines()[0]})"
        ) from error
    dataset = dataset.select(range(min(limit or len(dataset), len(dataset))))
    for column, kind in dataset.features.items():  # bytes as they are stored, not decoded and encoded again
        if isinstance(kind, datasets.Image):
            dataset = dataset.cast_column(column, datasets.Image(decode=False))
        elif isinstance(getattr(kind, "feature", None), datasets.Image):
            dataset = dataset.cast_column(column, type(kind)(datasets.Image(decode=False)))
    for number, row in enumerate(dataset, 1):
        yield Row(f"{name}:{number}", Path(), row)
