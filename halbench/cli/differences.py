"""Paired differences on the command line, for `compare` and `gate`: table cells and the JSON object."""

from typing import TYPE_CHECKING, Literal

from halbench.statistics.resampling import Resampling

if TYPE_CHECKING:
    from halbench.comparing.comparison import Comparison, Row
    from halbench.comparing.gating import Gate


def columns(a: str, b: str, level: float) -> dict[str, Literal["left", "right"]]:
    """Headings of `cells`: the two runs are called `a` and `b`."""
    return {
        "group": "left",
        "metric": "left",
        a: "right",
        b: "right",
        "change": "right",
        f"{100 * level:g}% interval": "right",
    }


def cells(row: "Row") -> tuple[str, ...]:
    """One paired difference as text: group, metric, both values, change and its interval."""
    from halbench.terminal.formatting import format_difference, format_interval, format_value, metric_label

    return (
        row.group,
        metric_label(row.metric, row.better),
        format_value(row.a, row.unit),
        format_value(row.b, row.unit),
        format_difference(row.difference, row.unit),
        format_interval(row.low, row.high, row.unit, "+"),
    )


def footer(result: "Comparison | Gate", resampling: Resampling) -> tuple[str, ...]:
    """The lines below a table: which items were compared, and how."""
    everything = [] if result.left_out else [f"{result.n} items scored in both runs, 0 left out."]
    resamples = f"{resampling.n_resamples} resamples of images, seed {resampling.seed}."
    return (" ".join([*everything, *result.notes, resamples]), result.signature)


def report_incomplete(result: "Comparison | Gate") -> None:
    """Say on stderr which of the runs is incomplete."""
    from halbench.terminal.progress import say

    for line in result.incomplete:
        say(f"INCOMPLETE: {line}")


def print_json(result: "Comparison | Gate", resampling: Resampling) -> None:
    """One object; its rows are flat, values are fractions or native units, unrounded."""
    from halbench.files.records import as_json
    from halbench.terminal.lines import show_json

    fields = as_json(result)
    rows = [{**row.pop("row"), **row} for row in fields.pop("rows")]
    fields |= {"resamples": resampling.n_resamples, "seed": resampling.seed, "rows": rows}
    show_json(fields)
