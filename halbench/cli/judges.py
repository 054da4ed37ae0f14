"""halbench judges RUN: how far the judges of the same responses agree, with themselves and with each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halbench.cli.flags import with_flags
from halbench.cli.options import AsJson, OwnSuite
from halbench.evaluation.choice import DataChoice

if TYPE_CHECKING:
    from halbench.evaluation.reliability import MutualAgreement, SelfAgreement


def add_to(app: typer.Typer) -> None:
    app.command(help="Agreement of judges, with themselves and each other.")(with_flags(judges))


def judges(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Judged run folders of the same responses.", metavar="RUN...", show_default=False),
    ],
    choice: DataChoice,
    as_json: AsJson = False,
    suite: OwnSuite = None,
) -> None:
    from halbench.evaluation.reliability import reliability
    from halbench.files.records import as_json as plain
    from halbench.terminal.formatting import print_table
    from halbench.terminal.lines import show, show_json

    found = reliability(runs, choice.open(), suite)
    if as_json:
        show_json(plain(found))
        return
    left = ("metric", "judge", "judges", "alpha")
    for title, rows in (
        (f"{found.suite}: each judge with itself", [self_cells(row) for row in found.judges]),
        ("judges with each other, by the first reply of each", [mutual_cells(row) for row in found.pairs]),
    ):
        if rows:
            columns = {name: "left" if name in left else "right" for name in rows[0]}
            print_table(columns, [tuple(row.values()) for row in rows], title)  # type: ignore[arg-type]
    show(
        "interval: of images and replies. identical: share of pairs of replies. alpha: Krippendorff's; 1 is full agreement, 0 chance."
    )


def self_cells(row: "SelfAgreement") -> dict[str, str]:
    """How a judge agrees with itself, by column."""
    from halbench.terminal.formatting import format_amount, format_interval, format_value

    return {
        "metric": row.metric,
        "judge": row.judge,
        "replies": str(row.repeats),
        "n": str(row.n),
        "value": format_value(row.value, row.unit),
        "95% interval": format_interval(row.low, row.high, row.unit),
        "of it the judge": "-" if row.margin is None else f"±{format_amount(row.margin, row.unit)}",
        **agreement_cells(row),
    }


def mutual_cells(row: "MutualAgreement") -> dict[str, str]:
    """How two judges agree, by column."""
    from halbench.terminal.formatting import format_difference

    return {
        "metric": row.metric,
        "judges": f"{row.a} -> {row.b}",
        "n": str(row.n),
        "change": format_difference(row.difference, row.unit),
        **agreement_cells(row),
    }


def agreement_cells(row: "SelfAgreement | MutualAgreement") -> dict[str, str]:
    return {
        "identical": "-" if row.identical is None else f"{row.identical:.0%}",
        "alpha": "-" if row.alpha is None else f"{row.alpha:.3f} {row.level}",
    }
