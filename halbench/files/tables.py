"""Tables of text: .csv and .tsv files -> rows, never fewer than the file has.

A stray quotation mark joins every line up to the next one into a single cell. Such a file is refused, as is a row with more
or fewer cells than the header: a missing cell is not an empty text.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from halbench.errors import InputError

LARGEST_CELL = 2**31 - 1
"""VLMEvalKit's tables may hold whole images as text."""


def read_table(path: Path, separator: str, ids: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column -> cell) of each row. ids: columns with ids, by whose form a row inside a cell is recognised."""
    csv.field_size_limit(LARGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(path, csv.reader(file, delimiter=separator, strict=True), separator, ids)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _rows(path: Path, reader: Any, separator: str, ids: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{path}:{line}: a quotation mark opens or closes a cell in the wrong place ({error}); double the marks inside "
                "a quoted cell, or write JSONL"
            ) from error
        if cells is None:
            return
        if not cells:  # a blank line
            continue
        if not header:
            header = cells
            if (twice := next((name for name in header if name and header.count(name) > 1), None)) is not None:
                raise InputError(f"{path}:{line}: two columns are called '{twice}'")
            key = next((number for number, name in enumerate(header) if name in ids), 0)
            continue
        if len(cells) != len(header):
            raise InputError(
                f"{path}:{line}: expected {len(header)} cells ({', '.join(header)}), found {len(cells)}; a cell with the "
                "separator or a line break in it needs quotation marks around it"
            )
        for cell in cells:
            for inner in cell.splitlines()[1:]:
                inside = inner.split(separator)
                if len(inside) == len(header) > 1 and _form(inside[key]) == _form(cells[key]):
                    raise InputError(
                        f"{path}:{line}: the cell that begins {cell[:40]!r} holds the row {inner[:40]!r}; is a quotation "
                        "mark before it stray? Double the marks inside a quoted cell, or write JSONL"
                    )
        yield line, dict(zip(header, cells, strict=True))


def _form(cell: str) -> str:
    """A cell with its numbers replaced: ids of one table have the same form."""
    return re.sub(r"\d+", "0", cell)
