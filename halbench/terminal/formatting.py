"""Numbers and tables as text for a terminal or a notebook; nothing is rounded before this point.

format_value(0.0782, "fraction")                 7.8%
format_difference(-0.0123, "fraction")           -1.2
format_interval(0.071, 0.0855, "fraction")       [7.1, 8.6]
metric_label("chair", "lower")                   chair ↓
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from halbench.terminal.lines import LONGEST_WORD, shortened, visible
from halbench.types import Better, Unit

DIGITS: Mapping[Unit, int] = {"fraction": 1, "rating": 2, "words": 1}
SUFFIX: Mapping[Unit, str] = {"fraction": "%", "rating": "", "words": ""}
AMOUNT: Mapping[Unit, str] = {"fraction": " points", "rating": "", "words": " words"}
ARROWS: Mapping[Better, str] = {"higher": " ↑", "lower": " ↓", "neither": ""}
WIDTH = 200
"""Width of a table that goes to a file or pipe, in characters."""


def format_value(value: float | None, unit: Unit) -> str:
    """A fraction in percent, any other unit as it is; "undefined" for 0/0."""
    return "undefined" if value is None else _number(value, unit) + SUFFIX[unit]


def format_difference(value: float | None, unit: Unit) -> str:
    """A signed difference, fractions in percentage points; "-" for None."""
    return "-" if value is None else _number(value, unit, "+")


def format_amount(value: float, unit: Unit) -> str:
    """An unsigned difference with its unit: "1.2 points" (of a percentage), "0.31", "4.0 words"."""
    return _number(abs(value), unit) + AMOUNT[unit]


def format_interval(low: float | None, high: float | None, unit: Unit, sign: Literal["", "+"] = "") -> str:
    """ "[7.1, 8.6]"; "-" if there is no interval. sign "+": bounds of a difference."""
    if low is None or high is None:
        return "-"
    return f"[{_number(low, unit, sign)}, {_number(high, unit, sign)}]"


def format_bounds(worst: float | None, best: float | None, unit: Unit) -> str:
    """ "1.31 to 1.38", the lower one first; "-" if there are none."""
    if worst is None or best is None:
        return "-"
    low, high = sorted((worst, best))
    return f"{_number(low, unit)} to {_number(high, unit)}"


def format_scored(scored: int, share: float) -> str:
    """How many of the items are scored: "100%", or "95/96" if any lacks a score. share: scored / items."""
    return f"{scored}/{round(scored / share)}" if 0 < share < 1 else f"{share:.0%}"


def format_p(value: float | None) -> str:
    """A p-value with three decimals; "-" for None."""
    return "-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def metric_label(name: str, better: Better) -> str:
    """The name with an arrow that points in the better direction."""
    return name + ARROWS[better]


def print_table(
    columns: Mapping[str, Literal["left", "right"]], rows: Iterable[Sequence[str]], title: str = ""
) -> None:
    """Print a table on stdout. columns: heading -> alignment of its cells."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, side in columns.items():
        table.add_column(visible(heading), justify=side)
    for row in rows:
        table.add_row(*(shortened(visible(cell), LONGEST_WORD) for cell in row))
    # Square brackets are intervals, not markup, and colons are in ids.
    console = Console(width=None if sys.stdout.isatty() else WIDTH, markup=False, emoji=False, highlight=False)
    if title:
        console.print(visible(title), style="bold", soft_wrap=True)  # as one line, whatever its words are
    console.print(table)


def html_table(title: str, rows: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> str:
    """A table with its title and notes; everything in it is text."""
    from html import escape

    import pandas as pd

    table = pd.DataFrame(list(rows)).to_html(index=False, escape=True, border=0)
    below = "".join(f"<div><small>{escape(note)}</small></div>" for note in notes)
    return f"<div><strong>{escape(title)}</strong>{table}{below}</div>"


def _number(value: float, unit: Unit, sign: Literal["", "+"] = "") -> str:
    # Adding 0.0 turns -0.0 into 0.0, which prints without a minus sign.
    rounded = round(100 * value if unit == "fraction" else value, DIGITS[unit]) + 0.0
    return f"{rounded:{sign}.{DIGITS[unit]}f}"
