"""halbench train: tune a model on preference pairs; repeat the command to resume."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from baselines.training.recipes import MODEL_OPTIONS, Recipe, TrainingPlan
from halbench.cli.flags import Given, Only, with_flags
from halbench.types import BackendOptions


def add_to(app: typer.Typer) -> None:
    app.command(help="Tune a model on preference pairs: DPO, mDPO, MFPO, MBPO, or an objective of your own.")(
        with_flags(train)
    )


def train(
    options: Annotated[Mapping[str, Any], Given(TrainingPlan)],
    recipe: Annotated[Mapping[str, Any], Given(Recipe)],
    model_options: Annotated[Mapping[str, Any], Given(BackendOptions), Only(*MODEL_OPTIONS, device="cpu or cuda.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML file with any of these options; flags override it.", metavar="FILE"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of the objective, e.g. beta=0.2. May be repeated.", metavar="NAME=VALUE"),
    ] = None,
) -> None:
    import os

    from baselines.training.recipes import plan

    # Before torch is imported, so that mistakes show at once.
    chosen = plan(options, recipe, settings or [], config, model_options)

    from baselines.training import data_proof
    from baselines.training.train import train as train_plan
    from halbench.terminal.lines import show

    record = train_plan(chosen)
    if os.environ.get("RANK", "0") == "0":
        show(*data_proof.describe(record["identity"]))
        show(
            f"{record['steps']} steps in {record['seconds']:.0f} s. Run it: halbench run --model {chosen.out} --suite ..."
        )
