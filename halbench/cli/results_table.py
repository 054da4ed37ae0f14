"""An evaluation on the terminal: a table, or one JSON object, on stdout; what is incomplete, on stderr."""

import json
import sys
from collections.abc import Mapping
from typing import Literal

from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK
from halbench.evaluation.evaluate import Evaluation
from halbench.files.records import as_json
from halbench.terminal.formatting import format_interval, format_value, metric_label, print_table

COLUMNS: Mapping[str, Literal["left", "right"]] = {
    "group": "left",
    "metric": "left",
    "value": "right",
    "95% interval": "right",
    "official": "right",
    "n": "right",
    "scored": "right",
}
NUMBERS = ("value", "low", "high", "n", "coverage", "better", "unit", "official")
"""What --json shows of a result, besides its name and group."""


def report(evaluation: Evaluation, as_json_object: bool) -> int:
    """Print an evaluation; the exit code is 0, or 2 where it is incomplete."""
    if as_json_object:
        print(json.dumps(json_object(evaluation), ensure_ascii=False, allow_nan=False, indent=1))
    else:
        print_results(evaluation)
        if evaluation.suite.note:
            print(evaluation.suite.note)
        print(evaluation.signature)
    complaint = evaluation.coverage.complaint()
    complete = evaluation.coverage.complete
    if complaint:
        print(f"halbench: {'' if complete else 'INCOMPLETE: '}{complaint}", file=sys.stderr)
    return OK if complete else BAD_INPUT_OR_INCOMPLETE


def json_object(evaluation: Evaluation) -> dict[str, object]:
    """{"suite", "signature", "complete", "coverage", "metrics": [...]}; values are fractions or native units, unrounded."""
    metrics = [
        {"name": row.metric, "group": row.group, **{name: getattr(row, name) for name in NUMBERS}}
        for row in evaluation.results
    ]
    return {
        "suite": evaluation.suite.name,
        "signature": evaluation.signature,
        "complete": evaluation.coverage.complete,
        "coverage": as_json(evaluation.coverage),
        "metrics": metrics,
    }


def print_results(evaluation: Evaluation) -> None:
    """One row per metric and group. Rows of unread answers are left out where all were read."""
    rows = []
    previous = None
    for row in evaluation.results:
        if row.unread and not row.value:
            continue
        if row.group != "all" and "all" in evaluation.suite.groups and not evaluation.coverage.scored:
            continue  # nothing scored at all: the rows of the whole say so once
        if previous not in (None, row.group):
            rows.append([""] * len(COLUMNS))
        rows.append(
            [
                row.group if row.group != previous else "",
                metric_label(row.metric, row.better),
                format_value(row.value, row.unit),
                format_interval(row.low, row.high, row.unit),
                "" if row.official is None else f"{row.official:.6g}",
                str(row.n),
                f"{row.coverage:.0%}",
            ]
        )
        previous = row.group
    print_table(COLUMNS, rows, evaluation.suite.title)
