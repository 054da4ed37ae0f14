"""halbench compare A B: differences between two runs, paired by item."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import differences as shared
from halbench.cli.flags import with_flags
from halbench.cli.options import AsJson, OwnSuite
from halbench.statistics.resampling import Resampling

HELP = """Compare two runs of one suite, paired by item.

Items that lack a score in one of the runs are left out of both, and counted. With an incomplete run the table has no p-values
and no verdicts, and the exit code is 2."""


def add_to(app: typer.Typer) -> None:
    app.command(help=HELP)(with_flags(compare))


def compare(
    a: Annotated[Path, typer.Argument(help="Baseline run folder.", metavar="A", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Run folder; the change is B - A.", metavar="B", show_default=False)],
    resampling: Resampling,
    as_json: AsJson = False,
    suite: OwnSuite = None,
) -> None:
    from halbench.comparing import comparison
    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK
    from halbench.statistics.paired_tests import resampling_footnote
    from halbench.terminal.formatting import format_amount, format_p, print_table
    from halbench.terminal.lines import show

    result = comparison.compare(a, b, resampling, suite)
    code = BAD_INPUT_OR_INCOMPLETE if result.incomplete else OK
    shared.report_incomplete(result)
    if as_json:
        shared.print_json(result, resampling)
        raise typer.Exit(code)
    rows = []
    for compared in result.rows:
        detectable = compared.row.smallest_detectable
        amount = "-" if detectable is None else format_amount(detectable, compared.row.unit)
        rows.append((*shared.cells(compared.row), format_p(compared.p_holm), amount, compared.verdict))
    headings = shared.columns("A", "B", resampling.level)
    print_table(
        {**headings, "p (Holm)": "right", "detectable": "right", "B vs A": "left"},
        rows,
        f"{result.suite}: A {a}, B {b}",
    )
    show("detectable: the smallest true difference detectable with 80 % power.")
    if footnote := resampling_footnote([compared.row.p for compared in result.rows], resampling.n_resamples):
        show(footnote)
    show(*shared.footer(result, resampling))
    raise typer.Exit(code)
