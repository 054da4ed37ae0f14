"""halbench report: tables, figures and pages from run, training and ablation folders."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import options as shared

ALL = "all"


def add_to(app: typer.Typer) -> None:
    app.command(help="Tables, figures and pages from run folders.")(report)


def report(
    kind: Annotated[
        str,
        typer.Argument(
            help="all: one page with everything; or ablation, leaderboard, breakdown, trade_off, training_curves, intervals, samples.",
            metavar="KIND",
            show_default=False,
        ),
    ],
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run, training or ablation folders, or folders of such.", metavar="RUNS...", show_default=False
        ),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", help="Run or objective to compare with. Default: an ablation's base.", metavar="NAME"
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
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write into.", metavar="DIR")] = Path("out/report"),
    title: Annotated[str, typer.Option("--title", help="Of the page.")] = "Hallucination report",
    suite: shared.OwnSuite = None,
    data: shared.DataFolder = None,
    images: shared.Images = None,
    resamples: Annotated[int, typer.Option("--resamples", min=100, help="Draws of the paired tests.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws.")] = 0,
) -> None:
    import sys

    from halbench.errors import INCOMPLETE

    shared.need_reports("report")
    from reports import reporting
    from reports.types import Options

    options = Options(baseline=baseline, suite_file=suite, data=data, images=images, resamples=resamples, seed=seed)
    done = reporting.report(kind, runs, options, formats or [], out, title)
    for line in done.notes:
        print(f"halbench: {line}", file=sys.stderr)
    for path in done.written:
        print(path)
    if not done.written:
        raise typer.Exit(INCOMPLETE)
