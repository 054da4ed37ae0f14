"""halbench lmms-path: our suites as tasks for lmms-eval."""

import typer

from halbench.terminal.lines import show


def add_to(app: typer.Typer) -> None:
    app.command(
        "lmms-path", help="Write the suites as lmms-eval tasks and print their folder, for its --include_path."
    )(lmms_path)


def lmms_path() -> None:
    from halbench.lmms_tasks import write_tasks

    show(write_tasks())
