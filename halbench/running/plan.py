"""What to run. Imports no numpy, so that the command line can show its flags at once."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from halbench.reasoning import SPLIT, Reasoning
from halbench.settings import option, parse_arguments

BACKENDS = (
    "hf (transformers), openai (a server), vllm, lmms:CLASS (a model class of lmms-eval), replay (answers from a file), "
    "or a .py file."
)


@dataclass(frozen=True)
class Plan:
    """A model and how it is run.

    backend: its name, or name:engine if it has several ("lmms:llava_hf"). gen_kwargs: overrides of the suite's decoding,
    such as {"num_beams": 3, "top_k": 50}. limit: only the first items. name: of the model, in reports. reasoning: how thoughts are treated. out: run folder; None for runs/MODEL__SUITE.
    """

    model: str = option(
        MISSING,
        "Checkpoint folder, PEFT adapter folder or hub name; for servers, the model's name on the server.",
        "--model",
        "-m",
        metavar="MODEL",
    )
    backend: str = option("hf", BACKENDS, metavar="NAME")
    gen_kwargs: Mapping[str, Any] = option(
        factory=dict,
        help="Override the suite's generation settings, e.g. max_new_tokens=64,num_beams=1; recorded in the signature.",
        metavar="NAME=VALUE,...",
        otherwise="the suite's published ones",
        parse=parse_arguments,
    )
    limit: int | None = option(
        None, "Only the first N items; recorded in the signature.", minimum=1, metavar="N", otherwise="all"
    )
    name: str | None = option(
        None, "Name of the model in reports.", metavar="NAME", otherwise="that of its folder or on the hub"
    )
    reasoning: Reasoning = SPLIT
    out: Path | None = option(None, "Run folder to write.", "--out", "-o", metavar="DIR", otherwise="runs/MODEL__SUITE")
