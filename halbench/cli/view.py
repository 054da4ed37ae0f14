"""halbench view: read the responses of a run, or of two runs side by side, in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import options as shared
from halbench.cli.flags import with_flags
from halbench.evaluation.choice import DataChoice


def add_to(app: typer.Typer) -> None:
    app.command(help="Browse the responses of a run, or of two runs side by side.")(with_flags(view))


def view(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN", show_default=False)],
    choice: DataChoice,
    other: Annotated[
        Path | None, typer.Argument(help="Second run, shown next to it.", metavar="OTHER", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Page to write. Default: out/view/RUN.html.", metavar="FILE")
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Largest number of samples on the page.", metavar="N")
    ] = 1500,
    open_it: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    suite: shared.OwnSuite = None,
) -> None:
    import webbrowser

    from halbench.errors import InputError
    from halbench.terminal.lines import show
    from halbench.terminal.progress import say

    shared.need_reports("view")
    from reports.kinds.samples import page
    from reports.reading import read_folders
    from reports.types import Options
    from reports.write import write

    folders = [run, *([other] if other else [])]
    reading = read_folders(folders)
    runs = {read.path: read for read in reading.runs}
    for folder in folders:
        if folder not in runs:
            expected = f"{folder}: not a run folder; expected one made by halbench run"
            raise InputError(next(iter(reading.skipped), expected))
    options = Options(suite_file=suite, data=choice.data, images=choice.images, samples=samples)
    result = page(runs[run], runs[other] if other else None, options, "view")
    path = out or Path("out/view") / f"{'-'.join(folder.resolve().name for folder in folders)}.html"
    write(path, result.html)
    show(path)
    if open_it and not webbrowser.open(path.resolve().as_uri()):
        say("no browser found; open the file by hand")
