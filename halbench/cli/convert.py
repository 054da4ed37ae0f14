"""halbench convert: a checkpoint in LLaVA's own format becomes one that transformers opens."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.types import Dtype


def add_to(app: typer.Typer) -> None:
    app.command(help="Convert a checkpoint in the format of LLaVA's own code, so that other commands take it.")(convert)


def convert(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder or hub name: whole checkpoint, LoRA adapter or projector.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder for the converted checkpoint.")],
    base: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Language model below an adapter or projector. Default: the one that adapter_config.json names.",
        ),
    ] = None,
    vision_tower: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="CLIP checkpoint. Default: the one that config.json names."),
    ] = None,
    dtype: Annotated[
        Dtype, typer.Option(help="Precision of the weights; auto: as the language model is stored.")
    ] = "auto",
) -> None:
    from halbench.converting.convert import convert as convert_checkpoint
    from halbench.terminal.lines import show

    done = convert_checkpoint(source, out, base, vision_tower, dtype)
    show(
        f"{done.folder}: {done.weights} weights in {done.dtype}, vision tower {done.vision_tower}, prompt {done.prompt}. "
        f"Run it: halbench run --model {done.folder} --suite ..."
    )
