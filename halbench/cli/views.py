"""halbench views: what a view makes of preference pairs, side by side with the originals, for a person to check."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halbench.cli.options import DataFolder

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
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector", help="Finds key objects in pairs without boxes: Grounding DINO, OWLv2.", metavar="MODEL"
        ),
    ] = None,
    segmenter: Annotated[
        str | None, typer.Option("--segmenter", help="Their outlines, not only boxes: SAM.", metavar="MODEL")
    ] = None,
    word_vectors: Annotated[
        str | None,
        typer.Option("--word-vectors", help="spaCy model for the similarity of key words. Default: by letters."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder that keeps what took a model to make.", metavar="DIR")
    ] = None,
    data: DataFolder = None,
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
    from baselines.variants import Tools, combined_hash, hit_rate, make_variant, open_tools, variant_hash

    if segmenter and not detector:
        raise InputError("--segmenter needs --detector, which finds what is outlined")
    found = read_pairs(pairs, images=images, limit=limit)
    console = Console(stderr=True)
    for dropped in found.dropped:
        console.print(f"left out: {dropped}", highlight=False)
    tools = open_tools([view], found.pairs, open_data(data), Tools(cache=cache))
    if model or detector or word_vectors:
        tools = with_models(tools, model, detector, segmenter, word_vectors)
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


def with_models(
    tools: "Tools", model: str | None, detector: str | None, segmenter: str | None, word_vectors: str | None
) -> "Tools":
    """The tools with what the options name; each is loaded only when asked for."""
    from dataclasses import replace

    if word_vectors:
        from baselines.keywords import word_vectors as open_word_vectors

        tools = replace(tools, similarity=open_word_vectors(word_vectors))
    if detector:
        from baselines.grounding import open_grounder

        tools = replace(tools, grounder=open_grounder(detector, segmenter))
    if model:
        from baselines.adversary import ReferenceModel
        from baselines.noise import model_pixels
        from halbench.backends.hf import open_checkpoint
        from halbench.scenes import PREFIX, checkpoint_path
        from halbench.types import BackendOptions

        source = str(checkpoint_path(model)) if model.startswith(PREFIX) else model
        checkpoint = open_checkpoint(source, BackendOptions())
        pixels = model_pixels(checkpoint.processor.image_processor)
        tools = replace(tools, reference=ReferenceModel(checkpoint), pixels=pixels)
    return tools
