"""Tables and figures as files: Markdown, LaTeX (booktabs), CSV, HTML, SVG and PNG.

Rounding, arrows and marks happen here and nowhere earlier. The CSV holds the frame as it is and reads back to the same one.
Everything that comes from models or users is text: it is escaped for where it goes.
"""

import html
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from halbench.errors import InputError
from halbench.formatting import DIGITS
from halbench.types import Unit
from reports.types import Column, Figure, Page, Table

OF_TABLES = ("md", "tex", "csv")
OF_FIGURES = ("svg", "png")
FORMATS = ("html", *OF_TABLES, *OF_FIGURES)
NOTHING = "–"
DPI = 200
WIDE = 5  # numeric columns above which intervals stand below their values in HTML


def save(made: Sequence[Table | Figure | Page], formats: Iterable[str], folder: Path) -> list[Path]:
    """Write what is made in the formats that suit it; the files written."""
    written = []
    for one in made:
        for kind in formats:
            content = content_of(one, kind)
            if content is not None:
                path = folder / f"{one.name}.{kind}"
                write(path, content)
                written.append(path)
    return written


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, with the folders above it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}). Choose another --out") from error


def content_of(made: Table | Figure | Page, kind: str) -> str | bytes | None:
    """What a file of this kind holds; None where the two do not go together."""
    if isinstance(made, Table):
        writers = {"md": markdown, "tex": latex, "csv": csv}
        return writers[kind](made) if kind in writers else None
    if isinstance(made, Figure):
        return drawn(made, kind) if kind in OF_FIGURES else None
    return made.html if kind == "html" else None


def drawn(figure: Figure, kind: str) -> str | bytes:
    """A figure for paper: on white."""
    from reports import figures

    drawing = figure.draw("light")
    content: str | bytes = figures.svg(drawing) if kind == "svg" else figures.png(drawing, DPI)
    return content


# --- cells


def cell(column: Column, row: Any) -> str:
    """What stands in a cell, without markup. row: mapping of the frame's columns."""
    value = row[column.source]
    if missing(value):
        return NOTHING
    if column.kind == "text":
        return str(value)
    if column.kind == "count":
        return f"{int(value):,}"
    text = number(value, column.unit or row["unit"], column.kind == "difference")
    if column.mark is not None and not missing(row[column.mark]):
        text += str(row[column.mark])
    text += between(column, row, (column.low, column.high), " [", ", ", "]")
    return text + between(column, row, (column.lowest, column.highest), " (", "–", ")")


def between(column: Column, row: Any, names: tuple[str | None, str | None], begin: str, middle: str, end: str) -> str:
    """Two bounds in their brackets; "" where there are none."""
    bounds = [row[name] for name in names if name is not None]
    if not bounds or any(map(missing, bounds)):
        return ""
    unit: Unit = column.unit or row["unit"]
    return begin + middle.join(number(bound, unit, column.kind == "difference") for bound in bounds) + end


def missing(value: Any) -> bool:
    """None, and what pandas makes of it."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


def number(value: float, unit: Unit, sign: bool = False) -> str:
    """A fraction in percent without its sign, which stands in the heading."""
    rounded = round(100 * value if unit == "fraction" else value, DIGITS[unit]) + 0.0
    return f"{rounded:{'+' if sign else ''}.{DIGITS[unit]}f}".replace("-", "−")


def rows_of(table: Table) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.frame.to_dict("records")]


def numeric(column: Column) -> bool:
    return column.kind != "text"


def begins(table: Table, rows: Sequence[dict[str, Any]], place: int) -> bool:
    """Whether a new group of rows begins here."""
    if not table.group or place == 0:
        return False
    return bool(rows[place][table.group] != rows[place - 1][table.group])


def is_apart(table: Table, row: dict[str, Any]) -> bool:
    return bool(table.apart and row[table.apart])


# --- formats


def csv(table: Table) -> str:
    """The frame itself, unrounded."""
    return table.frame.to_csv(index=False, lineterminator="\n")


def markdown(table: Table) -> str:
    """A pipe table with title and note; rows set apart are in italics."""
    head = [markdown_text(column.label) for column in table.columns]
    sides = ["---:" if numeric(column) else "---" for column in table.columns]
    lines = [f"### {markdown_text(table.title)}", "", line_of(head), line_of(sides)]
    for row in rows_of(table):
        cells = [markdown_text(cell(column, row)) for column in table.columns]
        lines.append(
            line_of([f"*{text}*" if text.strip() else text for text in cells] if is_apart(table, row) else cells)
        )
    return "\n".join([*lines, "", markdown_text(table.note), ""])


def line_of(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|~#$])", r"\\\1", flat).replace("&", "&amp;")


def latex(table: Table) -> str:
    """A table environment as wide as the text; needs booktabs and graphicx. Rows set apart are in italics."""
    sides = "".join("r" if numeric(column) else "l" for column in table.columns)
    rows = rows_of(table)
    lines = [
        r"\begin{table}[t]",
        r"\centering\small",
        rf"\caption{{{latex_text(table.title)}. {latex_text(table.note)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{{sides}}}",
        r"\toprule",
        " & ".join(latex_text(column.label) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    for place, row in enumerate(rows):
        if begins(table, rows, place):
            lines.append(r"\midrule")
        cells = [latex_text(cell(column, row)) for column in table.columns]
        lines.append(" & ".join(rf"\textit{{{text}}}" if is_apart(table, row) else text for text in cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", r"\end{table}", ""])


LATEX = {
    **{char: "\\" + char for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # behind \\ a bracket would be read as an option
    "]": "{]}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "β": r"$\beta$",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    '"': "''",
}


def latex_text(text: str) -> str:
    """Text that pdfLaTeX shows as it is; a letter that it has no glyph for by its code point."""
    return "".join(
        LATEX.get(char) or (char if char.isascii() or latin(char) else f"U+{ord(char):04X}") for char in flat(text)
    )


def flat(text: str) -> str:
    """On one line, without control characters."""
    return " ".join("".join(char if char.isprintable() or char.isspace() else " " for char in text).split())


def latin(char: str) -> bool:
    """Whether LaTeX's T1 encoding has the letter."""
    return "À" <= char <= "ÿ" and char not in "÷"


def html_table(table: Table) -> str:
    """A <table>; the caption is the note."""
    rows = rows_of(table)
    head = "".join(f'<th scope="col"{side(column)}>{html.escape(column.label)}</th>' for column in table.columns)
    body = []
    for place, row in enumerate(rows):
        classes = [
            name for name, holds in (("group", begins(table, rows, place)), ("apart", is_apart(table, row))) if holds
        ]
        cells = "".join(
            f"<{tag(number)}{side(column)}>{html_cell(column, row)}</{tag(number).split()[0]}>"
            for number, column in enumerate(table.columns)
        )
        body.append(f'<tr class="{" ".join(classes)}">{cells}</tr>' if classes else f"<tr>{cells}</tr>")
    wide = ' class="wide"' if sum(map(numeric, table.columns)) > WIDE else ""
    return f"<table{wide}><thead><tr>{head}</tr></thead><tbody>\n{chr(10).join(body)}\n</tbody></table>"


def tag(place: int) -> str:
    return 'th scope="row"' if place == 0 else "td"


def side(column: Column) -> str:
    return ' class="number"' if numeric(column) else ""


def html_cell(column: Column, row: dict[str, Any]) -> str:
    """The cell, its interval and mark set smaller."""
    text = html.escape(cell(column, row))
    return re.sub(r" ([\[(][^\])]*[\])])", r' <span class="interval">\1</span>', text) if numeric(column) else text
