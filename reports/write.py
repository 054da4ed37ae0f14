"""Tables and figures as files: Markdown, LaTeX (booktabs), CSV, HTML, SVG and PNG.

Numbers are rounded here and nowhere earlier. The CSV contains the frame as it is and reads back to the same one.
Everything that comes from models or users is text: it is escaped for each format.
"""

import html
import math
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from halbench.errors import InputError
from halbench.files.writing import replacing
from halbench.terminal.formatting import DIGITS
from halbench.types import Unit
from reports.types import Column, Figure, Page, Table

TABLE_FORMATS = ("md", "tex", "csv")
FIGURE_FORMATS = ("svg", "png")
FORMATS = ("html", *TABLE_FORMATS, *FIGURE_FORMATS)
MISSING = "–"
DPI = 200
WIDE = 5
"""Number of numeric columns above which HTML shows intervals below their values."""


def save(parts: Sequence[Table | Figure | Page], formats: Iterable[str], folder: Path) -> list[Path]:
    """Write each part in those of the formats that it has; returns the files written."""
    written = []
    for part in parts:
        for kind in formats:
            content = content_of(part, kind)
            if content is not None:
                path = folder / f"{part.name}.{kind}"
                write(path, content)
                written.append(path)
    return written


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, with the folders above it."""
    try:
        with replacing(path) as partial:
            partial.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}). Choose another --out") from error


def content_of(part: Table | Figure | Page, kind: str) -> str | bytes | None:
    """The content of the part's file in this format; None if it has no such format."""
    if isinstance(part, Table):
        writers = {"md": markdown, "tex": latex, "csv": csv}
        return writers[kind](part) if kind in writers else None
    if isinstance(part, Figure):
        return draw(part, kind) if kind in FIGURE_FORMATS else None
    return part.html if kind == "html" else None


def draw(figure: Figure, kind: str) -> str | bytes:
    """A figure for print, in the light theme."""
    from reports import figures

    drawing = figure.draw("light")
    content: str | bytes = figures.svg(drawing) if kind == "svg" else figures.png(drawing, DPI)
    return content


# --- cells


def cell(column: Column, row: Any) -> str:
    """The text of a cell, without markup. row: column of the frame -> value."""
    value = row[column.source]
    if is_missing(value):
        return MISSING
    if column.kind == "text":
        return str(value)
    if column.kind == "count":
        return f"{int(value):,}"
    text = number(value, column.unit or row["unit"], column.kind == "difference")
    if column.mark is not None and not is_missing(row[column.mark]):
        text += str(row[column.mark])
    text += bracketed(column, row, (column.low, column.high), " [", ", ", "]")
    return text + bracketed(column, row, (column.lowest, column.highest), " (", "–", ")")


def bracketed(column: Column, row: Any, names: tuple[str | None, str | None], begin: str, middle: str, end: str) -> str:
    """Two bounds in brackets; "" if either is missing."""
    bounds = [row[name] for name in names if name is not None]
    if not bounds or any(map(is_missing, bounds)):
        return ""
    unit: Unit = column.unit or row["unit"]
    return begin + middle.join(number(bound, unit, column.kind == "difference") for bound in bounds) + end


def is_missing(value: Any) -> bool:
    """Whether a value is None, or what pandas turns None into."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


def number(value: float, unit: Unit, sign: bool = False) -> str:
    """A rounded number; a fraction in percent, without the % sign, which is in the heading."""
    rounded = round(100 * value if unit == "fraction" else value, DIGITS[unit]) + 0.0
    return f"{rounded:{'+' if sign else ''}.{DIGITS[unit]}f}".replace("-", "−")


def rows_of(table: Table) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.frame.to_dict("records")]


def is_numeric(column: Column) -> bool:
    return column.kind != "text"


def starts_group(table: Table, rows: Sequence[dict[str, Any]], index: int) -> bool:
    """Whether a new group of rows begins at this row."""
    if not table.group or index == 0:
        return False
    return bool(rows[index][table.group] != rows[index - 1][table.group])


def headings_above(table: Table) -> list[tuple[str, int]]:
    """Headings that stand over several columns, and how many; "" where there is none."""
    return [(over, len(list(columns))) for over, columns in groupby(table.columns, lambda column: column.over)]


def is_italic(table: Table, row: dict[str, Any]) -> bool:
    return bool(table.italic and row[table.italic])


# --- formats


def csv(table: Table) -> str:
    """The frame itself, unrounded."""
    return table.frame.to_csv(index=False, lineterminator="\n")


def markdown(table: Table) -> str:
    """A pipe table with title and note."""
    head = [
        markdown_text(f"{column.over}: {column.label}" if column.over else column.label) for column in table.columns
    ]
    alignment = ["---:" if is_numeric(column) else "---" for column in table.columns]
    lines = [f"### {markdown_text(table.title)}", "", pipe_row(head), pipe_row(alignment)]
    for row in rows_of(table):
        cells = [markdown_text(cell(column, row)) for column in table.columns]
        if is_italic(table, row):
            cells = [f"*{text}*" if text.strip() else text for text in cells]
        lines.append(pipe_row(cells))
    return "\n".join([*lines, "", markdown_text(table.note), ""])


def pipe_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|~#$])", r"\\\1", " ".join(text.split())).replace("&", "&amp;")


def latex(table: Table) -> str:
    """A table environment as wide as the text; needs booktabs and graphicx."""
    alignment = "".join("r" if is_numeric(column) else "l" for column in table.columns)
    rows = rows_of(table)
    lines = [
        r"\begin{table}[t]",
        r"\centering\small",
        rf"\caption{{{latex_text(table.title)}. {latex_text(table.note)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        *latex_headings_above(table),
        " & ".join(latex_text(column.label) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    for index, row in enumerate(rows):
        if starts_group(table, rows, index):
            lines.append(r"\midrule")
        cells = [latex_text(cell(column, row)) for column in table.columns]
        lines.append(" & ".join(rf"\textit{{{text}}}" if is_italic(table, row) else text for text in cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", r"\end{table}", ""])


def latex_headings_above(table: Table) -> list[str]:
    """The row of headings that stand over several columns, with a rule below each."""
    cells, rules, first = [], [], 1
    for over, columns in headings_above(table):
        cells.append(rf"\multicolumn{{{columns}}}{{c}}{{{latex_text(over)}}}" if over else "&" * (columns - 1))
        rules += [rf"\cmidrule(lr){{{first}-{first + columns - 1}}}"] if over else []
        first += columns
    return [" & ".join(cells) + r" \\", " ".join(rules)] if rules else []


LATEX = {
    **{char: "\\" + char for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after \\ a bracket would be read as an option
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
    """Text that pdfLaTeX shows as it is; letters for which it has no glyph appear as code points."""
    return "".join(
        LATEX.get(char) or (char if char.isascii() or is_latin(char) else f"U+{ord(char):04X}")
        for char in one_line(text)
    )


def one_line(text: str) -> str:
    """The text on one line, without control characters."""
    return " ".join("".join(char if char.isprintable() or char.isspace() else " " for char in text).split())


def is_latin(char: str) -> bool:
    """Whether LaTeX's T1 encoding has the letter."""
    return "À" <= char <= "ÿ" and char not in "÷"


def html_table(table: Table) -> str:
    """A <table> without title and note."""
    rows = rows_of(table)
    head = "".join(f'<th scope="col"{html_class(column)}>{html.escape(column.label)}</th>' for column in table.columns)
    above = "".join(
        f'<th scope="colgroup" colspan="{columns}">{html.escape(over)}</th>' for over, columns in headings_above(table)
    )
    above = f'<tr class="above">{above}</tr>' if any(column.over for column in table.columns) else ""
    body = []
    for index, row in enumerate(rows):
        flags = {"group": starts_group(table, rows, index), "italic": is_italic(table, row)}
        classes = [name for name, applies in flags.items() if applies]
        cells = "".join(
            f"<{tag(number)}{html_class(column)}>{html_cell(column, row)}</{tag(number).split()[0]}>"
            for number, column in enumerate(table.columns)
        )
        body.append(f'<tr class="{" ".join(classes)}">{cells}</tr>' if classes else f"<tr>{cells}</tr>")
    wide = ' class="wide"' if sum(map(is_numeric, table.columns)) > WIDE else ""
    return f"<table{wide}><thead>{above}<tr>{head}</tr></thead><tbody>\n{chr(10).join(body)}\n</tbody></table>"


def tag(column_number: int) -> str:
    return 'th scope="row"' if column_number == 0 else "td"


def html_class(column: Column) -> str:
    return ' class="number"' if is_numeric(column) else ""


def html_cell(column: Column, row: dict[str, Any]) -> str:
    """The cell, its interval in smaller type."""
    text = html.escape(cell(column, row))
    return re.sub(r" ([\[(][^\])]*[\])])", r' <span class="interval">\1</span>', text) if is_numeric(column) else text
