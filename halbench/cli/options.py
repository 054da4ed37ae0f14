"""Flags that several subcommands share and that are in no dataclass."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from halbench.errors import InputError, MissingExtra

OwnSuite = Annotated[
    str | None,
    typer.Option("--suite", "-s", help="File of the suite, if the runs are of a suite of your own.", metavar="FILE"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def need_reports(verb: str) -> None:
    """Fail early if the 'reports' extra is missing."""
    missing = next((name for name in ("jinja2", "matplotlib", "PIL") if find_spec(name) is None), None)
    if missing:
        raise MissingExtra(f"halbench {verb} needs: pip install 'halbench[reports]' (no module '{missing}')")


def new_folder(folder: Path) -> None:
    """Make a folder to write into. Raises InputError if it exists and is not empty."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; choose another --out, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
