"""halbench gate RUN --baseline RUN --margins FILE: is this run worse than that one by more than is tolerated?"""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import differences as shared
from halbench.cli.options import AsJson, OwnSuite

HELP = """Check that a run is not worse than a baseline by more than a margin.

A metric is a regression only if the whole interval of its paired difference lies beyond the margin, and passes only if
the whole interval lies within it. Exit codes: 0 pass, 1 regression, 2 wrong input or incomplete, 3 inconclusive."""


def add_to(app: typer.Typer) -> None:
    app.command(help=HELP)(gate)


def gate(
    run: Annotated[Path, typer.Argument(help="Run folder under test.", metavar="RUN", show_default=False)],
    baseline: Annotated[
        Path, typer.Option("--baseline", help="Run folder it must not fall behind.", metavar="RUN", show_default=False)
    ],
    margins: Annotated[
        Path,
        typer.Option(
            "--margins",
            help="YAML or JSON: what is tolerated, by metric or group/metric, in the metric's own unit "
            "('generative/chair: 0.01' is one percentage point), with or without suite names on top.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    as_json: AsJson = False,
    level: shared.Level = 0.95,
    resamples: shared.Resamples = 10_000,
    seed: shared.Seed = 0,
    suite: OwnSuite = None,
) -> None:
    from halbench import comparison
    from halbench.errors import INCONCLUSIVE, OK, REGRESSION
    from halbench.formatting import print_table

    result = comparison.gate(run, baseline, margins, level, resamples, seed, suite)
    if as_json:
        shared.print_json(result, resamples, seed)
    else:
        print_table(
            {"verdict": "left", **shared.columns("baseline", "run", level), "reason": "left"},
            [(gated.verdict, *shared.cells(gated.row), gated.reason) for gated in result.rows],
            f"{result.suite}: {run} against {baseline}",
        )
        print(shared.footer(result, resamples, seed))
        print(f"gate: {result.outcome}")
    raise typer.Exit({"pass": OK, "regression": REGRESSION, "inconclusive": INCONCLUSIVE}[result.outcome])
