"""halbench lmms-path: where lmms-eval finds our suites as tasks of its own."""

import typer


def add_to(app: typer.Typer) -> None:
    app.command("lmms-path", help="Print the folder for lmms-eval --include_path.")(lmms_path)


def lmms_path() -> None:
    from halbench.lmms_tasks import FOLDER

    print(FOLDER)
