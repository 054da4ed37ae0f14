"""What was logged of training, step by step: loss and its terms, margins, log-probs, the image margin, length, speed, memory."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reports.arms import ORDER, by_settings
from reports.types import Figure, NothingToShow, Options, Reading, ReadTraining, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TITLE = "Training curves"
COLUMNS = 3
# Logged name, or its beginning -> what stands above its plot. Views other than chosen are named behind.
SHOWN: Mapping[str, str] = {
    "margin": "Margin, chosen − rejected (nats)",
    "accuracy": "Pairs in the right order (share, ↑)",
    "logp/chosen": "Log-prob of chosen (nats)",
    "logp/rejected": "Log-prob of rejected (nats)",
    "image_margin": "Image margin, true − altered (nats, ↑)",
    "tokens/chosen": "Length of chosen (tokens)",
    "kl": "KL to the reference (nats a token)",
    "online/reward": "Reward of own answers (0 to 1.5, ↑)",
    "grad_norm": "Gradient norm",
    "tokens_per_second": "Throughput (tokens/s)",
    "peak_memory_gb": "Peak memory (GB)",
}
OWN_SCALE = ("loss", "text", "image", "anchor")
SMOOTH = 5  # steps that are averaged


def build(reading: Reading, options: Options) -> list[Figure]:
    """One figure of the losses, a plot per objective, and one of everything that objectives share."""
    trainings = sorted((t for t in reading.trainings if not t.log.empty), key=lambda t: (place(t.objective), t.seed))
    if not trainings:
        raise NothingToShow("no finished training; give the folders of halbench train")
    objectives = by_settings(trainings)
    seeds = f"Means over {SMOOTH} steps" + told(objectives)
    return [
        Figure(
            "training_losses",
            "Losses and their terms",
            f"{seeds} Losses of different objectives are not on one scale.",
            partial(draw_losses, objectives),
        ),
        Figure("training_curves", "Training, step by step", seeds, partial(draw_shared, objectives)),
    ]


def place(objective: str) -> tuple[int, str]:
    return (ORDER.index(objective) if objective in ORDER else len(ORDER), objective)


def alike(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    return a.shape == b.shape and np.allclose(a, b, equal_nan=True)


def told(objectives: Mapping[str, Sequence[ReadTraining]]) -> str:
    """How many seeds stand behind the curves."""
    counts = {name: len(trainings) for name, trainings in objectives.items()}
    if set(counts.values()) == {1}:
        return ", one seed each."
    several = set(counts.values())
    seeds = str(several.pop()) if len(several) == 1 else ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"; bands: lowest to highest seed of {seeds}."


def curve(trainings: Sequence[ReadTraining], column: str) -> pd.DataFrame | None:
    """step, mean, low, high over seeds, smoothed; None where it was not logged."""
    logs = [training.log.set_index("step")[column] for training in trainings if column in training.log]
    if not logs:
        return None
    smooth = pd.concat([log.rolling(SMOOTH, min_periods=1).mean() for log in logs], axis=1)
    return pd.DataFrame({"mean": smooth.mean(axis=1), "low": smooth.min(axis=1), "high": smooth.max(axis=1)})


def columns_of(trainings: Sequence[ReadTraining], name: str) -> list[str]:
    """The logged columns that are this name, or a view of it."""
    logged = dict.fromkeys(column for training in trainings for column in training.log.columns)
    return [column for column in logged if column == name or column.startswith(f"{name}/")]


def draw_losses(objectives: Mapping[str, Sequence[ReadTraining]], theme: Theme) -> "Drawing":
    """A plot per objective: the loss and its terms."""
    from reports import figures

    rows = math.ceil(len(objectives) / COLUMNS)
    look = figures.looks(OWN_SCALE)
    with figures.themed(theme):
        drawing = figures.canvas(9.6, 0.5 + 2.1 * rows)
        axes = drawing.subplots(rows, COLUMNS, sharex=True, squeeze=False)
        for (name, trainings), plot in zip(objectives.items(), axes.flat, strict=False):
            whole = curve(trainings, "loss")
            for term in OWN_SCALE:
                found = curve(trainings, term)
                same = term != "loss" and found is not None and whole is not None and alike(found, whole)
                if found is not None and not same:  # a loss of one term is drawn once
                    band(plot, found, look[term], term)
            plot.set_title(name, loc="left")
            plot.grid(linewidth=0.6)
        finish(drawing, axes, len(objectives))
    return drawing


def draw_shared(objectives: Mapping[str, Sequence[ReadTraining]], theme: Theme) -> "Drawing":
    """A plot per logged quantity, a line per objective."""
    from reports import figures

    everything = [training for trainings in objectives.values() for training in trainings]
    shown = [(column, name, text) for name, text in SHOWN.items() for column in columns_of(everything, name)]
    merged: dict[str, list[str]] = {}
    for column, name, text in shown:
        merged.setdefault(text if name != "image_margin" else SHOWN["image_margin"], []).append(column)
    look = figures.looks(list(objectives))
    rows = math.ceil(len(merged) / COLUMNS)
    with figures.themed(theme):
        drawing = figures.canvas(9.6, 0.5 + 2.1 * rows)
        axes = drawing.subplots(rows, COLUMNS, sharex=True, squeeze=False)
        for (text, columns), plot in zip(merged.items(), axes.flat, strict=False):
            for name, trainings in objectives.items():
                for column in columns:
                    found = curve(trainings, column)
                    if found is not None:
                        band(plot, found, look[name], name)
            plot.set_title(text, loc="left", fontsize=8.5)
            plot.grid(linewidth=0.6)
        finish(drawing, axes, len(merged))
    return drawing


def band(plot: object, found: pd.DataFrame, look: object, label: str) -> None:
    """A line, and a band from the lowest to the highest seed."""
    plot.plot(found.index, found["mean"], color=look.colour, linestyle=look.line, linewidth=1.4, label=label)  # type: ignore[attr-defined]
    if (found["high"] > found["low"]).any():
        plot.fill_between(found.index, found["low"], found["high"], color=look.colour, alpha=0.18, linewidth=0)  # type: ignore[attr-defined]


def finish(drawing: "Drawing", axes: object, used: int) -> None:
    """One legend for all plots, steps below the lowest ones, and no empty plots."""
    flat = list(axes.flat)  # type: ignore[attr-defined]
    for number, plot in enumerate(flat):
        plot.set_visible(number < used)
        if used - COLUMNS <= number < used:
            plot.set_xlabel("step")
            plot.tick_params(labelbottom=True)
    handles = {
        label: handle for plot in flat[:used] for handle, label in zip(*plot.get_legend_handles_labels(), strict=True)
    }
    drawing.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=8, frameon=False)
