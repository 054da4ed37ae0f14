"""halbench ablate: train, run and score every cell of an experiment; repeat the command to resume."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import options as shared
from halbench.cli.flags import Only, with_flags
from halbench.evaluation.choice import DataChoice


def add_to(app: typer.Typer) -> None:
    app.command(help="Compare training objectives on identical data: objectives x seeds, with controls.")(
        with_flags(ablate)
    )


def ablate(
    experiment: Annotated[Path, typer.Argument(help="YAML file such as experiments/scenes.yaml.", metavar="FILE")],
    choice: Annotated[DataChoice, Only("data")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write. Default: runs/NAME-ablation.", metavar="DIR")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="cpu or cuda. Default: the GPU if there is one, else the CPU.", metavar="DEVICE"),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            help="Folder for reference log-probs and expensive views. Default: the user's cache.",
            metavar="DIR",
        ),
    ] = None,
    as_json: shared.AsJson = False,
) -> None:
    from baselines.experiments.experiment import read_experiment

    plan = read_experiment(experiment)  # raises for mistakes before torch is imported

    from baselines.experiments import ablation, commands, data_identity
    from baselines.experiments.table import print_ablation, table
    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK
    from halbench.folders.ablation import AblationFolder
    from halbench.terminal.lines import show, show_json
    from halbench.terminal.progress import say

    folder = AblationFolder(out or Path("runs") / f"{experiment.stem}-ablation")
    record = ablation.ablate(plan, commands.AblationSetup(folder, choice.data, cache, device))
    rows = table(plan, folder, record)
    if as_json:
        show_json({**record, "rows": rows})
    else:
        print_ablation(rows, f"{plan.suite}: {plan.model} and what was trained from it")
        show(*data_identity.describe(record))
    for cell in plan.cells:
        state = record["cells"][cell.name]
        if state["status"] != "complete":
            say(f"INCOMPLETE: {cell.name}: {state['stage']} failed: {state['error']}")
    say(f"results in {folder.path}")
    raise typer.Exit(OK if record["status"] == "complete" else BAD_INPUT_OR_INCOMPLETE)
