"""`halbench gate RUN --baseline RUN --margins FILE`: may this model replace that one?"""

from pathlib import Path
from typing import Annotated

import typer


def gate(
    run: Annotated[Path, typer.Argument(help="Run folder under test.", show_default=False)],
    baseline: Annotated[Path, typer.Option(help="Run folder that it must not fall behind.", show_default=False)],
    margins: Annotated[
        Path,
        typer.Option(
            help="YAML or JSON: how much worse is tolerated, by 'metric' or 'group/metric', in the metric's own unit "
            "(chair: 0.01 is one percentage point), with or without suite names on top.",
            show_default=False,
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the random draws.")] = 0,
) -> None:
    """Check that a run is not worse than a baseline by more than a margin, metric by metric.

    A regression only if the whole interval of the paired difference lies beyond the margin, a pass only if it lies
    within. Exit codes: 0 pass; 1 regression; 2 wrong input or incomplete run; 3 inconclusive.
    """
    from halbench import comparison
    from halbench.errors import INCONCLUSIVE, OK, REGRESSION
    from halbench.formatting import format_difference, format_interval, format_value, metric_label, print_table
    from halbench.records import as_json, dumps

    result = comparison.gate(run, baseline, margins, level, resamples, seed)
    if json:
        typer.echo(
            dumps({**as_json(result), "resamples": resamples, "seed": seed, "rows": comparison.flat(result.rows)})
        )
    else:
        print_table(
            {
                "verdict": "left",
                "group": "left",
                "metric": "left",
                "baseline": "right",
                "run": "right",
                "change": "right",
                f"{level:.4g} interval": "right",
                "reason": "left",
            },
            [
                (
                    row.verdict,
                    row.row.group,
                    metric_label(row.row.metric, row.row.better),
                    format_value(row.row.a, row.row.unit),
                    format_value(row.row.b, row.row.unit),
                    format_difference(row.row.difference, row.row.unit),
                    format_interval(row.row.low, row.row.high, row.row.unit, "+"),
                    row.reason,
                )
                for row in result.rows
            ],
            f"{result.suite}: {run} against {baseline}",
        )
        typer.echo(f"signature: {result.signature}")
        typer.echo(f"gate: {result.outcome}")
    raise typer.Exit({"pass": OK, "regression": REGRESSION, "inconclusive": INCONCLUSIVE}[result.outcome])


def add_to(app: typer.Typer) -> None:
    app.command("gate")(gate)
