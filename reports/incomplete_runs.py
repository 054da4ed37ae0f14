"""Incomplete runs in a table of their own: what is wrong with them, and between which values their numbers lie."""

from typing import Any

import pandas as pd

from reports.group_values import bound_cells, value_cells
from reports.run_groups import Panel
from reports.types import Column, Table

BOUNDS_NOTE = "In round brackets: the lowest and the highest value that the items without a score leave open."


def incomplete_table(panel: Panel, kind: str) -> list[Table]:
    """One row per incomplete run of a panel; [] if all are complete. kind: of the report, for the file name."""
    if not panel.incomplete:
        return []
    rows: list[dict[str, Any]] = []
    for group in panel.incomplete:
        coverage = group.runs[0].coverage
        about = {"run": group.name, "scored": f"{coverage.scored}/{coverage.items}", "reason": coverage.complaint()}
        rows.append({**about, **value_cells(panel, group, panel.metrics), **bound_cells(panel, group, panel.metrics)})
    columns = [Column("incomplete run", "run"), Column("scored", "scored")]
    for metric in panel.metrics:
        names = {"low": f"{metric.key} low", "high": f"{metric.key} high"}
        names |= {"lowest": f"{metric.key} lower bound", "highest": f"{metric.key} upper bound"}
        columns.append(Column(metric.label, metric.key, "value", metric.unit, metric.better, **names))
    return [
        Table(
            f"{kind}_{panel.name}_incomplete",
            f"Incomplete runs on {panel.suite}",
            f"{panel.signature}. Values of the scored answers alone, not to be compared with those of other runs. {BOUNDS_NOTE} A "
            "metric without them has no limit, such as the hallucinated share of the objects that an unseen answer mentions. "
            "Empty and cut answers are scored as they are.",
            pd.DataFrame(rows),
            [*columns, Column("what is wrong", "reason")],
        )
    ]
