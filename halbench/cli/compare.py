"""`halbench compare A B`: two complete runs, paired by item, difference by difference."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[Path, typer.Argument(help="Run folder that is compared against.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Run folder under test; differences are B - A.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    level: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Of the intervals; 1 - level is the error rate of the tests.")
    ] = 0.95,
    resamples: Annotated[
        int, typer.Option(min=100, help="Bootstrap replicates, and random swaps of the tests.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the random draws.")] = 0,
) -> None:
    """Compare two runs of one suite: paired by item, images as the unit, p-values adjusted by Holm's method.

    Exit codes: 0 compared; 2 wrong input, an incomplete run, or runs with different signatures.
    """
    from halbench import comparison
    from halbench.formatting import (
        format_difference,
        format_interval,
        format_p,
        format_value,
        metric_label,
        print_table,
    )
    from halbench.records import as_json, dumps

    result = comparison.compare(a, b, level, resamples, seed)
    if json:
        typer.echo(
            dumps({**as_json(result), "resamples": resamples, "seed": seed, "rows": comparison.flat(result.rows)})
        )
        return
    print_table(
        {
            "group": "left",
            "metric": "left",
            "A": "right",
            "B": "right",
            "B - A": "right",
            f"{level:.4g} interval": "right",
            "p (Holm)": "right",
            "detectable": "right",
            "B is": "left",
        },
        [
            (
                row.row.group,
                metric_label(row.row.metric, row.row.better),
                format_value(row.row.a, row.row.unit),
                format_value(row.row.b, row.row.unit),
                format_difference(row.row.difference, row.row.unit),
                format_interval(row.row.low, row.row.high, row.row.unit, "+"),
                format_p(row.p_holm),
                format_difference(row.row.smallest_detectable, row.row.unit).replace("+", "±"),
                row.verdict,
            )
            for row in result.rows
        ],
        f"{result.suite}: A = {a}, B = {b}",
    )
    typer.echo(
        f"{result.n} items scored in both runs, {result.left_out} left out; {resamples} resamples over images, seed {seed}"
    )
    typer.echo("detectable: the smallest true difference that this many images show in 80 % of cases")
    typer.echo(f"signature: {result.signature}")


def add_to(app: typer.Typer) -> None:
    app.command("compare")(compare)
