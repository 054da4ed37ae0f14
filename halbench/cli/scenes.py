"""halbench scenes: the embedded world as files: a checkpoint, a dataset folder, preference pairs, a contact sheet."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from halbench.cli.options import DataFolder

OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder to write; new or empty.", metavar="DIR")]
WorldSeed = Annotated[int, typer.Option("--seed", min=0, help="Which scenes.")]


def add_to(app: typer.Typer) -> None:
    scenes = typer.Typer(
        help="The embedded world: train its checkpoint, export scenes and preference pairs, draw a sheet.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for verb in (train, export, pairs, sheet):
        scenes.command(verb.__name__)(verb)
    app.add_typer(scenes, name="scenes")


def train(
    out: OutFolder,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the weights and the training scenes.")] = 0,
    data: DataFolder = None,
) -> None:
    """Train the base checkpoint again, from nothing, and score it for its model card (under an hour on 2 cores)."""
    import time

    from halbench.datasets import open_data
    from halbench.scenes.checkpoint import save
    from halbench.scenes.model_card import Making, measure, model_card
    from halbench.scenes.training import Recipe
    from halbench.scenes.training import train as train_checkpoint
    from halbench.suites.scenes import WORLD

    claim(out)
    start = time.monotonic()
    recipe = Recipe(seed=seed)
    trained = train_checkpoint(WORLD, recipe, steps_with_progress)
    seconds = time.monotonic() - start
    save(out, trained.model, trained.processor)
    making = Making(recipe, seconds, trained.sight, sum(weights.numel() for weights in trained.model.parameters()))
    (out / "README.md").write_text(model_card(making, measure(out, open_data(data))), "utf-8")
    print(f"{out}: checkpoint and model card, {seconds:.0f} s. Run it: halbench run --model {out} --suite scenes")


def export(
    out: OutFolder,
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="How many.")] = 1000,
    split: Annotated[str, typer.Option("--split", help="training (biased) or evaluation.")] = "evaluation",
    seed: WorldSeed = 0,
) -> None:
    """Write scenes as images, COCO annotations with boxes, captions and questions."""
    from halbench.errors import InputError, did_you_mean
    from halbench.scenes.export import export as export_scenes
    from halbench.scenes.world import SPLITS, sample_scenes
    from halbench.suites.scenes import WORLD

    if split not in SPLITS:
        raise InputError(f"--split {split}: no such split{did_you_mean(split, SPLITS)}")
    claim(out)
    export_scenes(out, sample_scenes(WORLD, seed, split, range(scenes)), WORLD)
    print(f"{out}: {scenes} scenes of the {split} split")


def pairs(
    out: OutFolder,
    model: Annotated[str, typer.Option("--model", "-m", help="Whose descriptions are ranked.")] = "scenes:base",
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="How many pairs.")] = 400,
    samples: Annotated[int, typer.Option("--samples", min=2, help="Descriptions sampled of each scene.")] = 6,
    temperature: Annotated[float, typer.Option("--temperature", min=0.01)] = 1.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which scenes, and of sampling.")] = 0,
) -> None:
    """Write preference pairs: descriptions of training scenes, ranked by exact truth, of similar length."""
    from rich.console import Console
    from rich.progress import Progress

    from halbench.backends.hf import open_checkpoint
    from halbench.scenes import PREFIX, checkpoint_path
    from halbench.scenes.pairs import PairOptions, write_pairs
    from halbench.types import BackendOptions

    claim(out)
    source = str(checkpoint_path(model)) if model.startswith(PREFIX) else model
    checkpoint = open_checkpoint(source, BackendOptions(device="cpu", dtype="float32"))
    options = PairOptions(pairs=pairs, samples=samples, temperature=temperature, seed=seed)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("pairs", total=pairs)
        found = write_pairs(out, checkpoint.network, checkpoint.processor, options, lambda: bar.advance(task))
    few = f", of {pairs} asked for: the model hallucinates too seldom" if found < pairs else ""
    print(f"{out}/pairs.jsonl: {found} pairs{few}")


def sheet(
    run: Annotated[Path, typer.Argument(help="Run folder of the suite scenes.", metavar="RUN")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.", metavar="FILE")] = Path("scenes.png"),
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="How many; the first ones of the run.")] = 12,
) -> None:
    """Draw scenes with their truth and what the model of a run said, hallucinated objects in red."""
    from halbench.errors import InputError
    from halbench.run_folder import RunFolder
    from halbench.scenes.contact_sheet import contact_sheet
    from halbench.scenes.world import sample_scene
    from halbench.suites.scenes import SUITE, WORLD
    from halbench.types import Response

    folder = RunFolder(run)
    suite = folder.manifest()["settings"]["suite"]
    if suite["name"] != SUITE.name:
        raise InputError(f"{run} is a run of {suite['name']}; expected one of the suite scenes")
    said = {
        row.item.partition("/"): row.text
        for row in folder.read(Response, folder.responses_path)
        if row.state != "error"
    }
    indices = sorted(int(index) for index, _, kind in said if kind == "description")[:scenes]
    if not indices:
        raise InputError(f"{folder.responses_path} holds no descriptions; run the suite without part=questions")
    seed = suite["options"]["seed"]
    described = [
        (sample_scene(WORLD, seed, "evaluation", index), said[str(index), "/", "description"]) for index in indices
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(described).save(out, format="png")
    print(out)


def claim(folder: Path) -> None:
    """Make a folder to write into; refuses one that holds something."""
    from halbench.errors import InputError

    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; choose another --out, or remove it")
    folder.mkdir(parents=True, exist_ok=True)


def steps_with_progress(steps: Sequence[int], what: str) -> Iterator[int]:
    """The steps, with a bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    yield from track(steps, description=what, console=Console(stderr=True))
