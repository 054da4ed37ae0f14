"""halbench scenes: files of the embedded world: a checkpoint, a dataset folder, preference pairs, a contact sheet."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli.flags import Only, with_flags
from halbench.cli.options import new_folder
from halbench.evaluation.choice import DataChoice
from halbench.scenes_tools.pair_options import PairOptions
from halbench.terminal.lines import show

OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder to write; new or empty.", metavar="DIR")]
WorldSeed = Annotated[int, typer.Option("--seed", min=0, help="Random seed of the scenes.", metavar="N")]


def add_to(app: typer.Typer) -> None:
    scenes = typer.Typer(
        help="Built-in synthetic scenes: train the checkpoint, export data and preference pairs, draw a contact sheet.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for verb in (train, export, pairs, sheet):
        scenes.command(verb.__name__)(with_flags(verb))
    app.add_typer(scenes, name="scenes")


def train(
    out: OutFolder,
    choice: Annotated[DataChoice, Only("data")],
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Random seed of the weights and the training scenes.", metavar="N")
    ] = 0,
) -> None:
    """Train the base checkpoint from scratch and score it for its model card (under an hour on 2 cores)."""
    import time

    from halbench.scenes.world import WORLD
    from halbench.scenes_tools.checkpoint import save
    from halbench.scenes_tools.model_card import TrainingSummary, measure, model_card
    from halbench.scenes_tools.training import Recipe
    from halbench.scenes_tools.training import train as train_checkpoint

    new_folder(out)
    start = time.monotonic()
    recipe = Recipe(seed=seed)
    trained = train_checkpoint(WORLD, recipe)
    seconds = time.monotonic() - start
    save(out, trained.model, trained.processor)
    making = TrainingSummary(
        recipe, seconds, trained.sight, sum(weights.numel() for weights in trained.model.parameters())
    )
    (out / "README.md").write_text(model_card(making, measure(out, choice.open())), "utf-8")
    show(f"{out}: checkpoint and model card, {seconds:.0f} s. Run it: halbench run --model {out} --suite scenes")


def export(
    out: OutFolder,
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="Number of scenes.", metavar="N")] = 1000,
    split: Annotated[
        str, typer.Option("--split", help="training (biased) or evaluation.", metavar="NAME")
    ] = "evaluation",
    seed: WorldSeed = 0,
) -> None:
    """Write scenes as images, COCO annotations with boxes, captions and questions."""
    from halbench.errors import InputError, did_you_mean
    from halbench.scenes.world import SPLITS, WORLD, sample_scenes
    from halbench.scenes_tools.export import export as export_scenes

    if split not in SPLITS:
        raise InputError(f"--split {split}: unknown split{did_you_mean(split, SPLITS)}")
    new_folder(out)
    export_scenes(out, sample_scenes(WORLD, seed, split, range(scenes)), WORLD)
    show(f"{out}: {scenes} scenes of the {split} split")


def pairs(
    out: OutFolder,
    options: PairOptions,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Model whose descriptions are ranked.", metavar="MODEL")
    ] = "scenes:base",
) -> None:
    """Write preference pairs: two descriptions of a scene, similar in length, ranked by exact truth."""
    from halbench.models.checkpoints import open_checkpoint
    from halbench.scenes_tools.pairs import write_pairs
    from halbench.terminal.progress import progress
    from halbench.types import BackendOptions

    new_folder(out)
    checkpoint = open_checkpoint(model, BackendOptions(device="cpu", dtype="float32"))
    with progress("pairs", options.pairs) as steps:
        count = write_pairs(out, checkpoint.model, checkpoint.processor, options, steps.advance)
    shortfall = f" instead of {options.pairs}: the model hallucinates too rarely" if count < options.pairs else ""
    show(f"{out}/pairs.jsonl: {count} pairs{shortfall}")


def sheet(
    run: Annotated[Path, typer.Argument(help="Run folder of the suite scenes.", metavar="RUN")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.", metavar="FILE")] = Path("scenes.png"),
    scenes: Annotated[
        int, typer.Option("--scenes", min=1, help="Number of scenes; the first ones of the run.", metavar="N")
    ] = 12,
) -> None:
    """Draw scenes with their truth and a run's descriptions, hallucinated objects in red."""
    from halbench.errors import InputError
    from halbench.folders.run import RunFolder
    from halbench.scenes.world import WORLD, sample_scene
    from halbench.scenes_tools.contact_sheet import contact_sheet
    from halbench.settings import parse_options
    from halbench.suites.scenes import SUITE
    from halbench.types import Response

    folder = RunFolder(run)
    suite = folder.manifest().settings.suite
    if suite.name != SUITE.name:
        raise InputError(f"{run} is a run of the suite {suite.name}; expected one of scenes")
    texts = {
        row.item.partition("/"): row.text
        for row in folder.read(Response, folder.responses_path)
        if row.state != "error"
    }
    indices = sorted(int(index) for index, _, kind in texts if kind == "description")[:scenes]
    if not indices:
        raise InputError(f"{folder.responses_path} has no descriptions; run the suite without part=questions")
    seed = parse_options(SUITE.options, [f"{name}={value}" for name, value in suite.options.items()]).seed
    described = [
        (sample_scene(WORLD, seed, "evaluation", index), texts[str(index), "/", "description"]) for index in indices
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(described).save(out, format="png")
    show(out)
