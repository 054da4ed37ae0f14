"""halbench report: tables, figures and pages from run, training and ablation folders."""

from pathlib import Path
from typing import Annotated

import typer

from halbench import plugins
from halbench.cli import options as shared
from halbench.cli.flags import Only, with_flags
from halbench.evaluation.choice import DataChoice
from halbench.statistics.resampling import Resampling

KINDS = ", ".join(plugins.names("reports.kinds"))


def add_to(app: typer.Typer) -> None:
    app.command(help="Write tables, figures and pages about run folders.")(with_flags(report))


def report(
    kind: Annotated[
        str,
        typer.Argument(help=f"all: one page with everything; or one of {KINDS}.", metavar="KIND", show_default=False),
    ],
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run, training or ablation folders, or folders that contain such folders.",
            metavar="RUNS...",
            show_default=False,
        ),
    ],
    choice: DataChoice,
    resampling: Annotated[Resampling, Only("n_resamples", "seed")],
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            help="Run or objective to compare with. Default: an ablation's base, else the only run of the checkpoint that "
            "the others were trained from.",
            metavar="NAME",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            help="Metric by which the leaderboard over all suites is ordered. Default: its first column.",
            metavar="SUITE/METRIC",
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help="html, md, tex, csv, png, svg; may be repeated. Default: html, and for all also md and tex.",
            metavar="NAME",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", metavar="DIR")] = Path("out/report"),
    title: Annotated[str, typer.Option("--title", help="Title of the page.", metavar="TEXT")] = "Hallucination report",
    suite: shared.OwnSuite = None,
) -> None:
    from halbench.errors import BAD_INPUT_OR_INCOMPLETE
    from halbench.terminal.lines import show
    from halbench.terminal.progress import say

    shared.need_reports("report")
    from reports import reporting
    from reports.types import Options

    options = Options(baseline, sort, suite, data=choice.data, images=choice.images, resampling=resampling)
    result = reporting.report(kind, runs, options, formats or [], out, title)
    for line in result.notes:
        say(line)
    show(*result.written)
    if not result.written:
        raise typer.Exit(BAD_INPUT_OR_INCOMPLETE)
