"""halbench convert: a checkpoint in the format of LLaVA's own code, written for transformers."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.types import Dtype


def add_to(app: typer.Typer) -> None:
    app.command(help="Convert a checkpoint of LLaVA's own code (LLaVA-1.5 type) for transformers.")(convert)


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder with a whole checkpoint, a LoRA adapter with non_lora_trainables.bin, or mm_projector.bin.",
            metavar="SOURCE",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", metavar="DIR")],
    base: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the language model, for an adapter or a projector. Default: what the adapter names, if it is a folder.",
            metavar="DIR",
        ),
    ] = None,
    vision_tower: Annotated[
        str | None,
        typer.Option(
            help="CLIP's folder or hub name. Default: mm_vision_tower of the checkpoint's config.json.", metavar="MODEL"
        ),
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="Precision of the weights written; auto: as they are stored.")] = "auto",
) -> None:
    import sys

    import transformers

    transformers.utils.logging.set_verbosity_error()  # before the next import, which already warns
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()

    from halbench.converting.llava import convert as convert_llava
    from halbench.terminal.lines import show

    convert_llava(source, out, base, vision_tower, dtype)
    show(f"{out}: run it with halbench run --model {out} --suite ...")
