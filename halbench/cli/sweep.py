"""halbench sweep: many models on many suites; repeat the command to resume."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halbench.cli import options as shared

if TYPE_CHECKING:
    from halbench.running.several import Cell
    from halbench.running.sweep import Progress


def add_to(app: typer.Typer) -> None:
    app.command(help="Run many models on many suites; finished cells are kept, and the same command resumes.")(sweep)


def sweep(
    file: Annotated[Path, typer.Argument(help="YAML file such as experiments/sweep.yaml.", metavar="FILE")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this model of the file. May be repeated.", metavar="MODEL"),
    ] = None,
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Run nothing; print one command for each model with unfinished cells.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Run nothing; print how far each cell has come.")] = False,
    as_json: shared.AsJson = False,
) -> None:
    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK, InputError, did_you_mean
    from halbench.running import sweep as sweeping
    from halbench.running.ranks import init_ranks
    from halbench.running.several import Suites
    from halbench.running.sweep_file import read_sweep
    from halbench.terminal.lines import show
    from halbench.terminal.progress import say

    cells, suites = read_sweep(file), Suites()
    models = list(dict.fromkeys(cell.model for cell in cells))
    for name in only or []:
        if name not in models:
            raise InputError(f"--only {name}: no such model in {file}{did_you_mean(name, models)}")
    models = [model for model in models if not only or model in only]
    cells = [cell for cell in cells if cell.model in models]
    suites.check(cells)
    if jobs:
        left = dict.fromkeys(cell.model for cell in cells if not sweeping.progress_of(cell, suites).final)
        show(*(shlex.join(["halbench", "sweep", str(file), "--only", model]) for model in left))
        return
    ranks, in_use = init_ranks(), []
    if not status and len(models) > 1 and ranks.world == 1:
        sweeping.run_models(file, cells, suites)
    elif not status:
        for number, outcome in enumerate(sweeping.run_cells(cells, suites), 1):
            word = "in use" if outcome.in_use else "failed" if outcome.problem else "run" if outcome.result else "kept"
            in_use += [outcome.cell.name] if outcome.in_use else []
            if ranks.is_main:
                say(f"cell {number} of {len(cells)}, {outcome.cell.name}: {word}")
    if not ranks.is_main:
        return
    found = [(cell, sweeping.progress_of(cell, suites)) for cell in cells]
    print_cells(found, as_json)
    for name in in_use:
        say(f"{name}: another process is at work on it; it was left alone")
    if not (status or as_json) and any(progress.state != "to do" for _, progress in found):
        say(f"halbench report leaderboard {common_folder(cells[0].folder.path, cells[-1].folder.path)}")
    raise typer.Exit(OK if all(progress.state == "done" for _, progress in found) else BAD_INPUT_OR_INCOMPLETE)


def print_cells(cells: "list[tuple[Cell, Progress]]", as_json: bool) -> None:
    """The state of every cell, on stdout; why cells failed or are incomplete, on stderr, cells with the same reason together."""
    from halbench.terminal.formatting import print_table
    from halbench.terminal.lines import show_json
    from halbench.terminal.progress import say

    if as_json:
        show_json(
            [{"model": cell.model, "suite": cell.suite, "folder": cell.name, **vars(state)} for cell, state in cells]
        )
        return
    rows = [[cell.model, cell.name, state.state, answered(state)] for cell, state in cells]
    print_table({"model": "left", "run folder": "left", "state": "left", "answered": "right"}, rows)
    reasons: dict[tuple[str, str], list[str]] = {}
    for cell, state in cells:
        if state.problem:
            reasons.setdefault((state.state, state.problem), []).append(cell.name)
    for (word, problem), names in reasons.items():
        say(f"{word.upper()}: {', '.join(names)}: {problem}")


def answered(progress: "Progress") -> str:
    """ "4 of 96"."""
    return "-" if progress.items is None else f"{progress.answered:,} of {progress.items:,}"


def common_folder(first: Path, last: Path) -> Path:
    """The folder that holds both."""
    return next(parent for parent in first.parents if last.is_relative_to(parent))
