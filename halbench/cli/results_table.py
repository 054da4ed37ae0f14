"""An evaluation on the terminal: a table, or one JSON object, on stdout; what is incomplete, on stderr."""

from collections.abc import Mapping
from typing import Literal

from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK
from halbench.evaluation.evaluate import Evaluation
from halbench.files.records import as_json
from halbench.terminal.formatting import (
    format_bounds,
    format_interval,
    format_scored,
    format_value,
    metric_label,
    print_table,
)
from halbench.terminal.lines import show, show_json
from halbench.terminal.progress import say

COLUMNS: Mapping[str, Literal["left", "right"]] = {
    "group": "left",
    "metric": "left",
    "value": "right",
    "95% interval": "right",
    "official": "right",
    "n": "right",
    "scored": "right",
}
NUMBERS = ("value", "low", "high", "n", "coverage", "better", "unit", "official", "worst", "best")
"""What --json shows of a result, besides its name and group."""


def report(evaluation: Evaluation, as_one_object: bool | None) -> int:
    """Print an evaluation; the exit code is 0, or 2 where it is incomplete. as_one_object: as JSON; None if that was printed
    before."""
    if as_one_object:
        show_json(json_object(evaluation))
    elif as_one_object is not None:
        print_results(evaluation)
        if evaluation.suite.note:
            show(evaluation.suite.note)
        show(evaluation.signature)
    for note in evaluation.notes:
        say(f"note: {note}")
    complaint = evaluation.coverage.complaint()
    complete = evaluation.coverage.complete
    if complaint:
        say(f"{'' if complete else 'INCOMPLETE: '}{complaint}")
    return OK if complete else BAD_INPUT_OR_INCOMPLETE


def json_object(evaluation: Evaluation) -> dict[str, object]:
    """{"suite", "signature", "complete", "coverage", "notes", "metrics": [...]}; values are fractions or native units, unrounded."""
    metrics = [
        {"name": row.metric, "group": row.group, **{name: getattr(row, name) for name in NUMBERS}}
        for row in evaluation.results
    ]
    return {
        "suite": evaluation.suite.name,
        "signature": evaluation.signature,
        "complete": evaluation.coverage.complete,
        "coverage": as_json(evaluation.coverage),
        "notes": list(evaluation.notes),
        "metrics": metrics,
    }


def print_results(evaluation: Evaluation) -> None:
    """One row per metric and group. Rows of unread answers are left out where all were read, the column of bounds where all
    items have a score."""
    rows = []
    bounded = any(row.best is not None for row in evaluation.results)
    columns: dict[str, Literal["left", "right"]] = {**COLUMNS, **({"bounds": "right"} if bounded else {})}
    previous = None
    for row in evaluation.results:
        if row.unread and not row.value:
            continue
        if row.group != "all" and "all" in evaluation.suite.groups and not evaluation.coverage.scored:
            continue  # nothing scored at all: the rows of the whole say so once
        if previous not in (None, row.group):
            rows.append([""] * len(columns))
        rows.append(
            [
                row.group if row.group != previous else "",
                metric_label(row.metric, row.better),
                format_value(row.value, row.unit),
                format_interval(row.low, row.high, row.unit),
                "" if row.official is None else f"{row.official:.6g}",
                str(row.n),
                format_scored(row.n, row.coverage),
                *([format_bounds(row.worst, row.best, row.unit)] if bounded else []),
            ]
        )
        previous = row.group
    print_table(columns, rows, evaluation.suite.title)
    if bounded:
        show("bounds: the value if each item without a score came out as badly, or as well, as it can.")
