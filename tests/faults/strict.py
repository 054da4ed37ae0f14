"""Readers of the simplest kind, which share no code with halbench and accept nothing doubtful. They tell whether a changed
number is explained by a changed content."""

import json
import re
from collections.abc import Sequence
from typing import Any


class Doubtful(ValueError):
    """A file that a strict reader does not accept."""


def _no_constant(name: str) -> None:
    raise Doubtful(name)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise Doubtful("a name occurs twice")
    return dict(pairs)


def json_value(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)


def rows(content: bytes, suffix: str) -> list[Any]:
    """The rows of a file of responses or records. Raises ValueError or RecursionError for what is not one."""
    text = content.decode("utf-8-sig")
    if suffix == ".jsonl":
        return [json_value(line) for line in text.split("\n") if line.strip()]
    if suffix == ".json":
        try:
            value = json_value(text)
        except json.JSONDecodeError:
            if "\n{" not in text:
                raise
            return rows(content, ".jsonl")
        return value if isinstance(value, list) else [value]
    return table(text, {".csv": ",", ".tsv": "\t"}[suffix])


def table(text: str, separator: str) -> list[dict[str, str]]:
    """RFC 4180: a cell is quoted whole or not at all; every row has as many cells as the header."""
    lines, row, cell, at = [], [], "", 0
    while at < len(text):
        if not cell and text[at] == '"':
            end = at + 1
            while text[end : end + 1] != '"' or text[end : end + 2] == '""':
                if end >= len(text):
                    raise Doubtful("a quotation mark is not closed")
                end += 2 if text[end : end + 2] == '""' else 1
            cell, at = text[at + 1 : end].replace('""', '"'), end + 1
            if text[at : at + 1] not in (separator, "\n", "\r", ""):
                raise Doubtful("text after a quoted cell")
            if at < len(text) and text[at] == separator:
                row, cell, at = [*row, cell], "", at + 1
                if at == len(text):
                    row = [*row, ""]
                continue
            row, cell = [*row, cell], ""
            at += 2 if text[at : at + 2] == "\r\n" else 1
            lines, row = [*lines, row], []
            continue
        end = at
        while end < len(text) and text[end] not in (separator, "\n", "\r"):
            end += 1
        cell = text[at:end]
        row, at = [*row, cell], end
        cell = ""
        if at < len(text) and text[at] == separator:
            at += 1
            if at == len(text):
                row = [*row, ""]
            continue
        at += 2 if text[at : at + 2] == "\r\n" else 1
        lines, row = [*lines, row], []
    if row:
        lines.append(row)
    header, *others = [line for line in lines if line != [""]]
    if len(set(header)) != len(header) or any(len(line) != len(header) for line in others):
        raise Doubtful("cells do not fit the header")
    return [dict(zip(header, line, strict=True)) for line in others]


def texts(row: Any) -> set[str]:
    """Every text that a row can be said to contain as its answer."""
    found = set()
    for value in row.values() if isinstance(row, dict) else ():
        while isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str):
            found.add(value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        elif value is None:
            found.add("")
        elif isinstance(value, dict):
            found |= texts(value)
    return found


def others(row: Any, text_field: str) -> str:
    """A row without its answer, to recognise it."""
    return json.dumps({name: value for name, value in row.items() if name != text_field}, sort_keys=True)


def margins(text: str) -> dict[str, float]:
    """Margins of scenes in their plainest form: one or two levels, or one level in braces, each a number in decimals. Sections
    of other suites are passed over."""
    found: dict[str, float] = {}
    section = "scenes:"
    if braces := re.fullmatch(r"\w+: (?:&m )?\{([^{}]+)\}(?:\nother:\n  <<: \*m)?", text):
        text = braces[1].replace(", ", "\n")
    for line in text.split("\n"):
        line = re.split("(?:^| )#", line)[0].rstrip()
        if line.endswith(":") and not line.startswith(" "):
            section = line
        if not line or line == section or section != "scenes:":
            continue
        name, colon, number = line.partition(": ")
        if not colon or name.strip() in found or not set(number.strip()) <= set("0123456789.e-+"):
            raise Doubtful(line)
        found[name.strip()] = float(number)
    return found


def same_multiset(one: Sequence[str], two: Sequence[str]) -> bool:
    return sorted(one) == sorted(two)
