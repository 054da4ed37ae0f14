"""One model family tried through the product: run, batches, shared prefix, training, packing, adapter."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import small_training
from families import FAMILIES

from baselines.training.train import train
from halbench.doctor.batch_parity import QUESTIONS, draw_shapes
from halbench.errors import InputError
from halbench.models.processors import processor_identity
from halbench.plugins import load
from halbench.types import BackendOptions, Decoding, Item, Response

DECODING = Decoding(max_new_tokens=12)
COLUMNS = ("runs", "batches", "shared", "trains", "packed", "adapter", "pixels")


def check(family: str, folder: Path, training: bool = True) -> dict[str, str]:
    """Column -> "yes", "no", or what is in the way; "-" for what was not tried."""
    found = {"family": family, **dict.fromkeys(COLUMNS, "-")}

    def attempt(columns: str, look: Callable[[], Any]) -> Any:
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                answer = look()
        except InputError as error:
            found[columns.split()[0]] = str(error).partition(": ")[2].partition(";")[0]  # without folder and advice
            return None
        for column, value in zip(columns.split(), answer, strict=True):
            found[column] = "yes" if value is True else "no" if value is False else str(value)
        return answer

    checkpoint = FAMILIES[family](folder / family, 0)
    items = shown_items(folder)

    def run() -> Any:
        backend = opened(checkpoint)
        together = answers(backend, items)
        alone = answers(opened(checkpoint, batch_size=1), items)
        errors = [row.error for row in together.values() if row.error]
        if errors:
            raise InputError(errors[0])
        if len({row.text for row in together.values()}) < len(items) / 2:
            raise InputError("the answers do not depend on image and question")
        found["pixels"] = processor_identity(backend.processor)["pixels"]
        same = sum(together[item.id].text == alone[item.id].text for item in items)
        return True, same == len(items) or f"{same} of {len(items)} alike", backend.shares is True

    attempt("runs batches shared", run)
    pairs = small_training.write_pairs(folder / "pairs", 4)
    trained = folder / "trained"

    def train_it() -> Any:
        plan = small_training.plan("mdpo", checkpoint, pairs, trained)
        template = (checkpoint / "chat_template.jinja").read_text()
        if switch := next(
            (name for name in ("enable_thinking", "thinking") if f"{name} is not defined" in template), None
        ):
            plan = replace(plan, options=replace(plan.options, template_kwargs={switch: False}))
        record = train(plan)
        return record["steps"] == 2, record["identity"]["packed"]

    def adapter() -> Any:
        backend = opened(trained)
        return (not any(row.error for row in answers(backend, items[:4]).values()),)

    if training and found["runs"] == "yes" and attempt("trains packed", train_it):
        attempt("adapter", adapter)
    return found


def shown_items(folder: Path) -> list[Item]:
    """Questions of different lengths, several on each image."""
    (folder / "images").mkdir()
    pictures = draw_shapes(4, folder / "images")
    return [
        Item(f"{picture.stem}-{number}", (picture,), question, None, "all")
        for picture in pictures
        for number, question in enumerate(QUESTIONS)
    ]


def opened(checkpoint: Path, batch_size: int = 10) -> Any:
    options = BackendOptions(device="cpu", dtype="float32", batch_size=batch_size)
    return load("halbench.backends", "hf").open_backend(str(checkpoint), options)


def answers(backend: Any, items: list[Item]) -> dict[str, Response]:
    return {row.item: row for row in backend.generate(items, DECODING)}
