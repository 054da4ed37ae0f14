"""What `compare` and `gate` share on the command line: options, table cells and the JSON object of paired differences."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from halbench.comparison import Comparison, Gate, Row

Level = Annotated[
    float, typer.Option("--level", min=0.5, max=0.999, help="Of the intervals; tests err at 1 - level.", metavar="P")
]
Resamples = Annotated[
    int, typer.Option("--resamples", min=100, help="Bootstrap replicates, and random swaps of the tests.", metavar="N")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the random draws.", metavar="N")]


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
    from halbench.formatting import format_difference, format_interval, format_value, metric_label

    return (
        row.group,
        metric_label(row.metric, row.better),
        format_value(row.a, row.unit),
        format_value(row.b, row.unit),
        format_difference(row.difference, row.unit),
        format_interval(row.low, row.high, row.unit, "+"),
    )


def footer(result: "Comparison | Gate", resamples: int, seed: int) -> str:
    """How the numbers came about."""
    return (
        f"{result.n} items scored in both runs, {result.left_out} left out. {resamples} resamples of images, seed {seed}.\n"
        + result.signature
    )


def print_json(result: "Comparison | Gate", resamples: int, seed: int) -> None:
    """One object; its rows are flat, values are fractions or native units, unrounded."""
    from halbench.records import as_json

    fields = as_json(result)
    rows = [{**row.pop("row"), **row} for row in fields.pop("rows")]
    fields |= {"resamples": resamples, "seed": seed, "rows": rows}
    typer.echo(json.dumps(fields, ensure_ascii=False, allow_nan=False, indent=1))
