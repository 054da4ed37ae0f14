"""halbench gate RUN --baseline RUN: is a run worse than a baseline by more than its margins?"""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import differences as shared
from halbench.cli.flags import with_flags
from halbench.cli.options import AsJson, OwnSuite
from halbench.statistics.resampling import Resampling

HELP = """Check that a run is not worse than a baseline by more than a margin.

A metric is a regression only if the interval of its paired difference is entirely beyond the margin, and passes only if
it is entirely within the margin. A margin on a metric that a model improves by saying less (CHAIR, for example) applies
to its companions (coverage) as well. Items that lack a score in one of the runs are left out of both, and counted. Exit codes:
0 pass, 1 regression, 2 wrong input or incomplete run, whatever its numbers, 3 inconclusive."""


def add_to(app: typer.Typer) -> None:
    app.command(help=HELP)(with_flags(gate))


def gate(
    run: Annotated[Path, typer.Argument(help="Run folder under test.", metavar="RUN", show_default=False)],
    baseline: Annotated[
        Path, typer.Option("--baseline", help="Baseline run folder.", metavar="RUN", show_default=False)
    ],
    resampling: Resampling,
    margins: Annotated[
        Path | None,
        typer.Option(
            "--margins",
            help="YAML or JSON: largest tolerated worsening, by metric or group/metric, in the metric's own unit "
            "('generative/chair: 0.01' is one percentage point). Default: the suite's own margins for its main metrics.",
            metavar="FILE",
        ),
    ] = None,
    as_json: AsJson = False,
    suite: OwnSuite = None,
) -> None:
    from halbench.comparing import gating
    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, INCONCLUSIVE, OK, REGRESSION
    from halbench.terminal.formatting import format_amount, print_table
    from halbench.terminal.lines import show

    result = gating.gate(run, baseline, margins, resampling, suite)
    shared.report_incomplete(result)
    if as_json:
        shared.print_json(result, resampling)
    else:
        rows = [
            (
                gated.verdict,
                *shared.cells(gated.row),
                "-" if gated.margin is None else f"{format_amount(gated.margin, gated.row.unit)}{' *' * gated.shipped}",
                gated.reason,
            )
            for gated in result.rows
        ]
        headings = shared.columns("baseline", "run", resampling.level)
        print_table(
            {"verdict": "left", **headings, "margin": "right", "reason": "left"},
            rows,
            f"{result.suite}: {run} against {baseline}",
        )
        if any(gated.shipped for gated in result.rows):
            show("* default margin, the suite's or else halbench's; set yours with --margins FILE.")
        show(*shared.footer(result, resampling))
        show(f"gate: {result.outcome}")
    codes = {"pass": OK, "regression": REGRESSION, "inconclusive": INCONCLUSIVE, "incomplete": BAD_INPUT_OR_INCOMPLETE}
    raise typer.Exit(codes[result.outcome])
