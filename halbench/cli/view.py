"""halbench view: read what a run said, or two side by side, in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import options as shared


def add_to(app: typer.Typer) -> None:
    app.command(help="Browse what a run said, or two runs side by side.")(view)


def view(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN", show_default=False)],
    other: Annotated[
        Path | None, typer.Argument(help="Second run, shown beside it.", metavar="OTHER", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Page to write. Default: out/view/RUN.html.", metavar="FILE")
    ] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Most samples on the page.")] = 1500,
    open_it: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    suite: shared.OwnSuite = None,
    data: shared.DataFolder = None,
    images: shared.Images = None,
) -> None:
    import sys
    import webbrowser

    from halbench.errors import InputError

    shared.need_reports("view")
    from reports.frame import read_folders
    from reports.kinds.samples import page
    from reports.types import Options
    from reports.write import write

    folders = [run, *([other] if other else [])]
    reading = read_folders(folders)
    found = [next((one for one in reading.runs if one.path == folder), None) for folder in folders]
    for folder, one in zip(folders, found, strict=True):
        if one is None:
            raise InputError(next(iter(reading.skipped), f"{folder}: no run folder; expected one made by halbench run"))
    first, second = (*found, None)[:2]
    assert first is not None
    made = page(first, second, Options(suite_file=suite, data=data, images=images, samples=samples), "view")
    path = out or Path("out/view") / f"{'-'.join(folder.resolve().name for folder in folders)}.html"
    write(path, made.html)
    print(path)
    if open_it and not webbrowser.open(path.resolve().as_uri()):
        print("halbench: no browser here; open the file by hand", file=sys.stderr)
