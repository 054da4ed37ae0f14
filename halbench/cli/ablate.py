"""halbench ablate: train, run and score every cell of an experiment; the same command goes on where an earlier one stopped."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import options as shared


def add_to(app: typer.Typer) -> None:
    app.command(help="Compare training objectives on identical data: objectives x seeds, with controls.")(ablate)


def ablate(
    experiment: Annotated[Path, typer.Argument(help="YAML such as experiments/scenes.yaml.", metavar="FILE")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder. Default: runs/NAME-ablation.", metavar="DIR")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="cpu or cuda. Default: the best there is.")] = None,
    data: shared.DataFolder = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache", help="Keeps reference log-probs and costly views. Default: the user cache.", metavar="DIR"
        ),
    ] = None,
    as_json: shared.AsJson = False,
) -> None:
    import json
    import sys

    from baselines.experiments import read_experiment

    asked = read_experiment(experiment)

    from baselines import ablation
    from baselines.ablation_table import print_ablation, table
    from halbench.errors import INCOMPLETE, OK

    def say(line: str) -> None:
        print(f"halbench: {line}", file=sys.stderr, flush=True)

    place = ablation.Place(out or Path("runs") / f"{experiment.stem}-ablation", data, cache, device)
    record = ablation.ablate(asked, place, say)
    rows = table(asked, place, record)
    if as_json:
        print(json.dumps({**record, "rows": rows}, ensure_ascii=False, allow_nan=False, indent=1))
    else:
        print_ablation(rows, f"{asked.suite}: {asked.model} and what was trained from it")
        print(ablation.describe(record))
    for cell in asked.cells:
        state = record["cells"][cell.name]
        if state["status"] != "complete":
            say(f"INCOMPLETE: {cell.name}: {state['stage']} failed: {state['error']}")
    say(f"results in {place.out}")
    raise typer.Exit(OK if record["status"] == "complete" else INCOMPLETE)
