"""Training step by step: loss and its terms, margins, log-probs, image margin, length, speed and memory."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from halbench.folders.training_log import TITLES, columns_of, loss_terms
from reports.run_groups import by_settings, training_order
from reports.types import Figure, LoadedTraining, NothingToShow, Options, ReportInput, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TITLE = "Training curves"
ORDER = 60
COLUMNS = 3
SMOOTH = 5
"""Number of steps that are averaged."""


def build(reading: ReportInput, options: Options) -> list[Figure]:
    """A figure of the losses, one plot per objective, and one of the quantities that all objectives share."""
    trainings = sorted(
        (t for t in reading.trainings if not t.log.empty), key=lambda t: (training_order(t), t.objective, t.seed)
    )
    if not trainings:
        raise NothingToShow("no complete training; add the folders of halbench train")
    objectives = by_settings(trainings)
    note = f"Means over {SMOOTH} steps" + seeds_note(objectives)
    return [
        Figure(
            "training_losses",
            "Losses and their terms",
            f"{note} Losses of different objectives are not on one scale.",
            partial(draw_losses, objectives),
        ),
        Figure("training_curves", "Training, step by step", note, partial(draw_shared, objectives)),
    ]


def seeds_note(objectives: Mapping[str, Sequence[LoadedTraining]]) -> str:
    """How many seeds the curves are means of, as the end of a sentence."""
    counts = {name: len(trainings) for name, trainings in objectives.items()}
    if set(counts.values()) == {1}:
        return ", one seed each."
    numbers = set(counts.values())
    seeds = str(numbers.pop()) if len(numbers) == 1 else ", ".join(f"{name} {count}" for name, count in counts.items())
    return f" and seeds; bands from the lowest to the highest seed. Number of seeds: {seeds}."


def curve(trainings: Sequence[LoadedTraining], column: str) -> pd.DataFrame | None:
    """step -> mean, low, high over seeds, smoothed; None if the column was not logged."""
    logs = [training.log.set_index("step")[column] for training in trainings if column in training.log]
    if not logs:
        return None
    smooth = pd.concat([log.rolling(SMOOTH, min_periods=1).mean() for log in logs], axis=1)
    return pd.DataFrame({"mean": smooth.mean(axis=1), "low": smooth.min(axis=1), "high": smooth.max(axis=1)})


def logged_columns(trainings: Sequence[LoadedTraining]) -> list[str]:
    """All columns that any of these trainings logged, in order of appearance."""
    return list(dict.fromkeys(column for training in trainings for column in training.log.columns))


def draw_losses(objectives: Mapping[str, Sequence[LoadedTraining]], theme: Theme) -> "Drawing":
    """A plot per objective: the loss and its terms."""
    from reports import figures

    everything = [training for trainings in objectives.values() for training in trainings]
    look = figures.looks(["loss", *loss_terms(logged_columns(everything))])
    rows = math.ceil(len(objectives) / COLUMNS)
    with figures.themed(theme):
        drawing = figures.canvas(9.6, 0.5 + 2.1 * rows)
        axes = drawing.subplots(rows, COLUMNS, sharex=True, squeeze=False)
        for (name, trainings), plot in zip(objectives.items(), axes.flat, strict=False):
            curves = {term: curve(trainings, term) for term in look}
            for term, values in curves.items():
                # A loss of a single term is drawn once.
                if values is not None and (term == "loss" or not same_values(values, curves["loss"])):
                    draw_band(plot, values, look[term], term)
            plot.set_title(name, loc="left")
            plot.grid(linewidth=0.6)
        finish(drawing, axes, len(objectives))
    return drawing


def same_values(a: pd.DataFrame, b: pd.DataFrame | None) -> bool:
    return b is not None and a.shape == b.shape and np.allclose(a, b, equal_nan=True)


def draw_shared(objectives: Mapping[str, Sequence[LoadedTraining]], theme: Theme) -> "Drawing":
    """A plot per logged quantity, a line per objective."""
    from reports import figures

    everything = [training for trainings in objectives.values() for training in trainings]
    logged = logged_columns(everything)
    plots = {title: columns for name, title in TITLES.items() if (columns := columns_of(logged, name))}
    look = figures.looks(list(objectives))
    rows = math.ceil(len(plots) / COLUMNS)
    with figures.themed(theme):
        drawing = figures.canvas(9.6, 0.5 + 2.1 * rows)
        axes = drawing.subplots(rows, COLUMNS, sharex=True, squeeze=False)
        for (title, columns), plot in zip(plots.items(), axes.flat, strict=False):
            for name, trainings in objectives.items():
                for column in columns:
                    values = curve(trainings, column)
                    if values is not None:
                        draw_band(plot, values, look[name], name)
            plot.set_title(title, loc="left", fontsize=8.5)
            plot.grid(linewidth=0.6)
        finish(drawing, axes, len(plots))
    return drawing


def draw_band(plot: object, values: pd.DataFrame, look: object, label: str) -> None:
    """A line, and a band from the lowest to the highest seed."""
    plot.plot(values.index, values["mean"], color=look.colour, linestyle=look.line, linewidth=1.4, label=label)  # type: ignore[attr-defined]
    if (values["high"] > values["low"]).any():
        plot.fill_between(values.index, values["low"], values["high"], color=look.colour, alpha=0.18, linewidth=0)  # type: ignore[attr-defined]


def finish(drawing: "Drawing", axes: object, used: int) -> None:
    """Add one legend for all plots and an axis of steps below the lowest ones; hide unused plots."""
    from reports import figures

    flat = list(axes.flat)  # type: ignore[attr-defined]
    for number, plot in enumerate(flat):
        plot.set_visible(number < used)
        if used - COLUMNS <= number < used:
            plot.set_xlabel("step")
            plot.tick_params(labelbottom=True)
            plot.xaxis.get_major_locator().set_params(integer=True)
    handles = {
        label: handle for plot in flat[:used] for handle, label in zip(*plot.get_legend_handles_labels(), strict=True)
    }
    figures.add_legend(drawing, handles)
