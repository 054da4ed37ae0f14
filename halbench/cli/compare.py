"""halbench compare A B: two complete runs, paired by item, difference by difference."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import differences as shared
from halbench.cli.options import AsJson, OwnSuite


def add_to(app: typer.Typer) -> None:
    app.command(help="Compare two runs of one suite, paired by item.")(compare)


def compare(
    a: Annotated[Path, typer.Argument(help="Run folder to compare with.", metavar="A", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Run folder; the change is B - A.", metavar="B", show_default=False)],
    as_json: AsJson = False,
    level: shared.Level = 0.95,
    resamples: shared.Resamples = 10_000,
    seed: shared.Seed = 0,
    suite: OwnSuite = None,
) -> None:
    from halbench import comparison
    from halbench.formatting import format_amount, format_p, print_table
    from halbench.statistics import bound_of_draws

    result = comparison.compare(a, b, level, resamples, seed, suite)
    if as_json:
        shared.print_json(result, resamples, seed)
        return
    rows = []
    for compared in result.rows:
        detectable = compared.row.smallest_detectable
        amount = "-" if detectable is None else format_amount(detectable, compared.row.unit)
        rows.append((*shared.cells(compared.row), format_p(compared.p_holm), amount, compared.verdict))
    headings = shared.columns("A", "B", level)
    print_table(
        {**headings, "p (Holm)": "right", "detectable": "right", "B is": "left"}, rows, f"{result.suite}: A {a}, B {b}"
    )
    print("detectable: the smallest true difference that these images show in 80 of 100 cases.")
    if (bound := bound_of_draws([compared.row.p for compared in result.rows], resamples)) is not None:
        print(bound)
    print(shared.footer(result, resamples, seed))
