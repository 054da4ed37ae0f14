"""halbench sweep: many models on many suites; repeat the command to resume."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    app.command(help="Run many models on many suites; finished cells are kept, and the same command resumes.")(sweep)


def sweep(
    file: Annotated[Path, typer.Argument(help="YAML file with models and suites.", metavar="FILE")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this model of the file. May be repeated.", metavar="MODEL"),
    ] = None,
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Run nothing; print one command for each model with unfinished cells.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Run nothing; print how far each cell has come.")] = False,
) -> None:
    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK, InputError, did_you_mean
    from halbench.running import sweep as sweeping
    from halbench.terminal.formatting import print_table
    from halbench.terminal.lines import show
    from halbench.terminal.progress import say

    cells = sweeping.read_sweep(file)
    models = list(dict.fromkeys(cell.model for cell in cells))
    for name in only or []:
        if name not in models:
            raise InputError(f"--only {name}: no such model in {file}{did_you_mean(name, models)}")
    cells = [cell for cell in cells if not only or cell.model in only]
    sweeping.check_cells(cells)
    if jobs:
        left = dict.fromkeys(cell.model for cell in cells if not sweeping.finished(cell))
        show(*(shlex.join(["halbench", "sweep", str(file), "--only", model]) for model in left))
        raise typer.Exit(OK)
    problems, incomplete = {}, []
    if not status:
        for number, (cell, outcome) in enumerate(sweeping.run_cells(cells), 1):
            if outcome is not None and outcome.problem:
                problems[cell.name] = outcome.problem
            word = "finished before" if outcome is None else "failed" if outcome.problem else "run"
            say(f"cell {number} of {len(cells)}, {cell.name}: {word}")
    rows = []
    for cell in cells:
        found = sweeping.progress_of(cell) if cell.name not in problems else None
        state = found.state if found else "failed"
        incomplete += [cell.name] if state == "incomplete" else []
        rows.append([cell.model, cell.name, state, f"{found.answered} of {found.items}" if found else "-"])
    print_table({"model": "left", "run folder": "left", "state": "left", "answered": "right"}, rows)
    for problem in dict.fromkeys(problems.values()):
        names = [name for name, other in problems.items() if other == problem]
        say(f"FAILED: {', '.join(names)}: {problem}")
    for name in incomplete:
        say(f"INCOMPLETE: {name}; halbench report leaderboard {name} shows why")
    if not status:
        say(f"halbench report leaderboard {cells[0].out}")
        raise typer.Exit(BAD_INPUT_OR_INCOMPLETE if problems or incomplete else OK)
