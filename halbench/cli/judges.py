"""halbench judges RUN: how far the judges of the same responses agree, with themselves and with each other."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli.flags import with_flags
from halbench.cli.options import AsJson, OwnSuite
from halbench.evaluation.choice import DataChoice


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
    from halbench.terminal.formatting import (
        format_amount,
        format_difference,
        format_interval,
        format_value,
        print_table,
    )
    from halbench.terminal.lines import show, show_json

    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.0%}"

    def alpha(value: float | None, level: str) -> str:
        return "-" if value is None else f"{value:.3f} {level}"

    found = reliability(runs, choice.open(), suite)
    if as_json:
        show_json(plain(found))
        return
    print_table(
        {
            "metric": "left",
            "judge": "left",
            "replies": "right",
            "n": "right",
            "value": "right",
            "95% interval": "right",
            "of it the judge": "right",
            "identical": "right",
            "alpha": "left",
        },
        [
            (
                row.metric,
                row.judge,
                str(row.repeats),
                str(row.n),
                format_value(row.value, row.unit),
                format_interval(row.low, row.high, row.unit),
                "-" if row.margin is None else f"±{format_amount(row.margin, row.unit)}",
                share(row.identical),
                alpha(row.alpha, row.level),
            )
            for row in found.judges
        ],
        f"{found.suite}: each judge with itself",
    )
    if found.pairs:
        print_table(
            {
                "metric": "left",
                "judges": "left",
                "n": "right",
                "change": "right",
                "identical": "right",
                "alpha": "left",
            },
            [
                (
                    row.metric,
                    f"{row.a} -> {row.b}",
                    str(row.n),
                    format_difference(row.difference, row.unit),
                    share(row.identical),
                    alpha(row.alpha, row.level),
                )
                for row in found.pairs
            ],
            "judges with each other, by the first reply of each",
        )
    show(
        "interval: of images and replies. identical: share of pairs of replies. alpha: Krippendorff's; 1 is full agreement, 0 chance."
    )
