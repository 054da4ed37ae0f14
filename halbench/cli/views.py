"""halbench views: what a view makes of preference pairs, side by side with the originals, for a person to check."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halbench.cli import options as shared

if TYPE_CHECKING:
    from baselines.variants import Tools


def add_to(app: typer.Typer) -> None:
    app.command(help="Show what a view makes of preference pairs, and its hash.")(views)


def views(
    pairs: Annotated[
        str,
        typer.Option("--pairs", "-p", help="Folder, .jsonl, .json or .parquet file, or hub dataset.", metavar="PAIRS"),
    ],
    view: Annotated[
        str,
        typer.Option("--view", help="chosen, cropped, region_noised, adversarial, ... or a .py file.", metavar="NAME"),
    ],
    seed: Annotated[int, typer.Option("--seed", help="Of the view.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Only the first N pairs.", metavar="N")] = 12,
    show: Annotated[Path | None, typer.Option("--show", help="PNG to write.", metavar="FILE")] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder that relative image paths start from. Default: PAIRS'.", metavar="DIR"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Checkpoint folder or hub name: what adversarial and mined_rejected attack, and whose pixels are noised.",
            metavar="MODEL",
        ),
    ] = None,
    detector: shared.Detector = None,
    segmenter: shared.Segmenter = None,
    word_vectors: shared.WordVectors = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder that keeps what took a model to make.", metavar="DIR")
    ] = None,
    data: shared.DataFolder = None,
) -> None:
    from rich.console import Console
    from rich.progress import track

    from halbench.datasets import open_data
    from halbench.errors import InputError, MissingExtra

    try:
        from baselines.preferences import read_pairs
    except ModuleNotFoundError as error:
        raise MissingExtra(f"halbench views needs: pip install 'halbench[train]' (no module '{error.name}')") from error
    from baselines.side_by_side import sheet
    from baselines.variants import (
        Tools,
        combined_hash,
        hit_rate,
        make_variant,
        open_tools,
        variant_hash,
        with_detection,
    )

    if segmenter and not detector:
        raise InputError("--segmenter needs --detector, which finds what is outlined")
    found = read_pairs(pairs, images=images, limit=limit)
    console = Console(stderr=True)
    for dropped in found.dropped:
        console.print(f"left out: {dropped}", highlight=False)
    tools = open_tools([view], found.pairs, open_data(data), Tools(cache=cache))
    tools = with_detection(tools, [view], detector, segmenter, word_vectors, None)
    if model:
        tools = with_model(tools, model)
    made = [
        (pair, make_variant(view, pair, seed, tools)) for pair in track(found.pairs, description=view, console=console)
    ]
    if show:
        show.parent.mkdir(parents=True, exist_ok=True)
        sheet(made, f"{view}, seed {seed}: original and what the model is shown").save(show, "png")
    pair_count = f"first {limit} pairs" if len(made) == limit else f"{len(made)} pairs"
    print(f"view {view}, seed {seed}, {pair_count}: {combined_hash((p.id, variant_hash(p, v)) for p, v in made)}")
    print(f"pairs: {found.hash}")
    rate = hit_rate(variant for _, variant in made)
    if rate:
        print(rate)
    if show:
        print(show)


def with_model(tools: "Tools", model: str) -> "Tools":
    """The tools with the model whose pixels are noised and that is attacked."""
    from dataclasses import replace

    from baselines.adversary import ReferenceModel
    from baselines.noise import model_pixels
    from halbench.backends.hf import open_checkpoint
    from halbench.scenes import PREFIX, checkpoint_path
    from halbench.types import BackendOptions

    source = str(checkpoint_path(model)) if model.startswith(PREFIX) else model
    checkpoint = open_checkpoint(source, BackendOptions())
    pixels = model_pixels(checkpoint.processor.image_processor)
    return replace(tools, reference=ReferenceModel(checkpoint), pixels=pixels)
