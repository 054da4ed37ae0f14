"""Hallucination against coverage: a model lowers the first by saying less, and here that shows as a step to the left."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from reports.arms import Panel, panels
from reports.kinds.ablation import value_cells
from reports.kinds.intervals import seeds
from reports.main_metrics import MainMetric
from reports.types import Figure, NothingToShow, Options, Reading, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TITLE = "Trade-off"
CONTROLS = ("base", "truncated")
PAIRS: Mapping[str, tuple[str, str]] = {
    "amber": ("generative/cover", "generative/chair"),
    "chair": ("all/recall", "all/chair_i"),
    "object_halbench": ("all/recall", "all/object_hall"),
    "scenes": ("descriptions/cover", "descriptions/chair"),
}
MEANING = {
    "chair": "hallucinated share of mentioned objects",
    "chair_i": "hallucinated share of mentioned objects",
    "object_hall": "hallucinated share of mentioned objects",
    "cover": "share of the image's objects that are mentioned",
    "recall": "share of the image's objects that are mentioned",
}


def build(reading: Reading, options: Options) -> list[Figure]:
    """One figure per suite and signature that has both metrics."""
    made = []
    for panel in panels(reading):
        held = {metric.key: metric for metric in panel.metrics}
        across, up = PAIRS.get(panel.suite, ("", ""))
        if across in held and up in held:
            made.append(
                Figure(
                    f"trade_off_{panel.name}",
                    f"Hallucination against coverage on {panel.suite}",
                    f"{panel.signature}. Better is to the right and below. Bars: 95% intervals over images"
                    + ("; small marks: single seeds, large ones their mean." if panel.several_seeds else "."),
                    partial(draw, panel, held[across], held[up]),
                )
            )
    if not made:
        raise NothingToShow("no run of a suite that has both a CHAIR-type metric and coverage")
    return made


def draw(panel: Panel, across: MainMetric, up: MainMetric, theme: Theme) -> "Drawing":
    from reports import figures

    look = figures.looks([arm.label for arm in panel.arms if arm.role not in CONTROLS])
    for arm in panel.arms:  # colours are for what is told apart: six objectives use them all
        if arm.role in CONTROLS:
            look[arm.label] = figures.Look(figures.INK[theme] if arm.role == "base" else figures.SOFT[theme], "*", "-")
    with figures.themed(theme):
        drawing = figures.canvas(7.2, 4.6)
        plot = drawing.subplots()
        for arm in panel.arms:
            cells = value_cells(panel, arm, [across, up])
            x, y = cells[across.key], cells[up.key]
            if x is None or y is None:
                continue
            drawn = look[arm.label]
            for mark in zip(seeds(panel, arm, across.key), seeds(panel, arm, up.key), strict=True):
                plot.plot(100 * mark[0], 100 * mark[1], drawn.marker, color=drawn.colour, alpha=0.35, markersize=4)
            plot.errorbar(
                [100 * x],
                [100 * y],
                xerr=reach(x, cells[f"{across.key} low"], cells[f"{across.key} high"]),
                yerr=reach(y, cells[f"{up.key} low"], cells[f"{up.key} high"]),
                fmt=drawn.marker,
                color=drawn.colour,
                markersize=11 if drawn.marker == "*" else 7,
                elinewidth=1,
                label=arm.label,
            )
        plot.set_xlabel(f"{across.label}: {MEANING[across.metric]}")
        plot.set_ylabel(f"{up.label}: {MEANING[up.metric]}")
        plot.grid(linewidth=0.6)
        plot.set_ylim(bottom=0)
        drawing.legend(loc="outside right upper", frameon=False)
    return drawing


def reach(value: float, low: float | None, high: float | None) -> list[list[float]] | None:
    """The two arms of an error bar, in percent."""
    return None if low is None or high is None else [[max(0.0, 100 * (value - low))], [max(0.0, 100 * (high - value))]]
