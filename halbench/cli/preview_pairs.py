"""halbench preview-pairs: what a view makes of preference pairs, next to the originals, for a person to check."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baselines.training.recipes import Recipe, TrainingPlan
from halbench import plugins
from halbench.cli.flags import Given, Only, with_flags
from halbench.evaluation.choice import DataChoice
from halbench.terminal.lines import show

if TYPE_CHECKING:
    from baselines.types import Pair, Variant
    from baselines.view_tools.tools import Tools


def add_to(app: typer.Typer) -> None:
    app.command("preview-pairs", help="Show a view of preference pairs, as an objective sees it, and its hash.")(
        with_flags(preview_pairs)
    )


def preview_pairs(
    pairs: Annotated[
        str,
        typer.Option("--pairs", "-p", help="Folder, .jsonl, .json or .parquet file, or hub dataset.", metavar="PAIRS"),
    ],
    view: Annotated[
        str,
        typer.Option("--view", help=f"{', '.join(plugins.names('baselines.views'))}; or a .py file.", metavar="NAME"),
    ],
    choice: Annotated[DataChoice, Only("data")],
    recipe: Annotated[
        Mapping[str, Any], Given(Recipe), Only("detector", "segmenter", "word_vectors", seed="Random seed of the view.")
    ],
    plan: Annotated[Mapping[str, Any], Given(TrainingPlan), Only("images", "cache")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Only the first N pairs.", metavar="N")] = 12,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="PNG to write.", metavar="FILE")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Checkpoint folder or hub name. The views adversarial and mined_rejected attack this model; it also sets "
            "the resolution of the noise.",
            metavar="MODEL",
        ),
    ] = None,
) -> None:
    from halbench.errors import InputError, MissingExtra
    from halbench.terminal.progress import say

    try:
        from baselines.pairs.preferences import read_pairs
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"halbench preview-pairs needs: pip install 'halbench[hf]' (no module '{error.name}')"
        ) from error
    from baselines.pairs.content_hashes import variant_hash, view_hash
    from baselines.view_tools.hit_rate import hit_rate
    from baselines.view_tools.tools import Tools, open_tools, open_view, with_detection
    from baselines.view_tools.view_sheet import sheet

    chosen = Recipe(**recipe)
    if chosen.segmenter and not chosen.detector:
        raise InputError("--segmenter needs --detector, which finds the objects to outline")
    open_view(view)  # an unknown name is reported before any pair is read
    preferences = read_pairs(pairs, images=plan.get("images"), limit=limit)
    for dropped in preferences.dropped:
        say(f"left out: {dropped}")
    tools = open_tools([view], preferences.pairs, choice.open(), Tools(cache=plan.get("cache")))
    tools = with_detection(tools, [view], chosen.detector, chosen.segmenter, chosen.word_vectors, None)
    if model:
        tools = with_model(tools, model)
    variants = variants_of(preferences.pairs, view, chosen.seed, tools)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        title = f"{view}, seed {chosen.seed}: the original, and what the model sees"
        sheet(variants, title).save(out, "png")
    count = f"first {limit} pairs" if len(variants) == limit else f"{len(variants)} pairs"
    digest = view_hash((pair.id, variant_hash(pair, variant)) for pair, variant in variants)
    show(f"view {view}, seed {chosen.seed}, {count}: {digest}")
    show(f"pairs: {preferences.hash}")
    rate = hit_rate(variant.notes for _, variant in variants)
    if rate:
        show(rate)
    if out:
        show(out)


def variants_of(pairs: "Sequence[Pair]", view: str, seed: int, tools: "Tools") -> "list[tuple[Pair, Variant]]":
    """Each pair with what the view makes of it."""
    from baselines.view_tools.variants import make_variant
    from halbench.terminal.progress import tracked

    return [(pair, make_variant(view, pair, seed, tools)) for pair in tracked(pairs, f"view {view}")]


def with_model(tools: "Tools", model: str) -> "Tools":
    """The tools with the model that is attacked, and at whose resolution noise is added."""
    from dataclasses import replace

    from baselines.view_tools.noise import model_pixels
    from baselines.view_tools.reference_model import ReferenceModel
    from halbench.models.checkpoints import open_checkpoint
    from halbench.types import BackendOptions

    checkpoint = open_checkpoint(model, BackendOptions())
    pixels = model_pixels(checkpoint.processor.image_processor)
    return replace(tools, reference=ReferenceModel(checkpoint), pixels=pixels)
