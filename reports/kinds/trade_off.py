"""Hallucination against coverage: a model lowers the first by saying less, which shows as a step to the left."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from reports.group_values import seed_values, value_cells
from reports.main_metrics import MainMetric
from reports.run_groups import Panel, RunGroup, check_baseline, panels
from reports.types import Figure, NothingToShow, Options, ReportInput, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TITLE = "Trade-off"
ORDER = 40
CONTROLS = ("base", "truncated")
COLUMNS = 3
WIDTH, HEIGHT = 3.2, 3.3
"""Of one plot, in inches."""
LINE = 48
"""Characters on one line of a description."""
LEGEND_ROW = 0.2


def build(reading: ReportInput, options: Options) -> list[Figure]:
    """One figure per suite and signature: a plot for each headline metric that a model improves by saying less."""
    check_baseline(reading, options)
    drawn = []
    for panel in panels(reading):
        if panel.groups and (pairs := traded(panel.metrics)):
            apart = ", ".join(group.name for group in panel.incomplete)
            drawn.append(
                Figure(
                    f"trade_off_{panel.name}",
                    f"Hallucination against coverage on {panel.suite}",
                    f"{panel.signature}. Better is to the lower right. Bars: 95% intervals over images"
                    + ("; small marks: single seeds, large ones their mean." if panel.several_seeds else ".")
                    + (f" Not drawn, since incomplete: {apart}." if apart else ""),
                    partial(draw, panel, pairs),
                )
            )
    if not drawn:
        raise NothingToShow(
            "no suite with a headline metric where lower is better that names a companion where higher is better"
        )
    return drawn


def traded(metrics: Sequence[MainMetric]) -> list[tuple[MainMetric, MainMetric]]:
    """(coverage, hallucination) for each metric where lower is better, with its first companion where higher is better."""
    by_key = {metric.key: metric for metric in metrics}
    pairs = []
    for metric in metrics:
        companions = [by_key[key] for key in metric.companions if key in by_key and by_key[key].better == "higher"]
        if metric.better == "lower" and companions:
            pairs.append((companions[0], metric))
    return pairs


def draw(panel: Panel, pairs: Sequence[tuple[MainMetric, MainMetric]], theme: Theme) -> "Drawing":
    """A plot for each pair, with one legend."""
    from reports import figures

    looks = looks_of(panel.groups, theme)
    rows, columns = math.ceil(len(pairs) / COLUMNS), min(len(pairs), COLUMNS)
    width = max(WIDTH * columns, 4.6)
    legend_rows = math.ceil(len(looks) / figures.legend_columns(looks, width))
    with figures.themed(theme):
        drawing = figures.canvas(width, HEIGHT * rows + LEGEND_ROW * legend_rows)
        axes = drawing.subplots(rows, columns, squeeze=False).flat
        for (across, up), plot in zip(pairs, axes, strict=False):
            for group in panel.groups:
                draw_group(plot, panel, group, across, up, looks[group.label])
            set_labels(plot, across, up, figures.SOFT[theme])
            plot.grid(linewidth=0.6)
            plot.set_axisbelow(True)
            plot.set_ylim(bottom=0)
        for plot in axes[len(pairs) :]:
            plot.set_visible(False)
        figures.add_legend(drawing, {label: figures.mark(look) for label, look in looks.items()})
    return drawing


def looks_of(groups: Sequence[RunGroup], theme: Theme) -> Mapping[str, Any]:
    """Label -> look. Controls are black and grey stars, which leaves the colours to the models that are compared."""
    from reports import figures

    colours = figures.looks([group.label for group in groups if group.role not in CONTROLS])
    ink = {"base": figures.INK[theme], "truncated": figures.SOFT[theme]}
    return {
        group.label: figures.Look(ink[group.role], "*", "-") if group.role in CONTROLS else colours[group.label]
        for group in groups
    }


def draw_group(plot: Any, panel: Panel, group: RunGroup, across: MainMetric, up: MainMetric, look: Any) -> None:
    """A point with its intervals, and small marks for single seeds."""
    cells = value_cells(panel, group, [across, up])
    x, y = cells[across.key], cells[up.key]
    if x is None or y is None:
        return
    x_scale, y_scale = across.scale, up.scale
    for x_seed, y_seed in zip(seed_values(panel, group, across), seed_values(panel, group, up), strict=True):
        plot.plot(
            x_scale * x_seed, y_scale * y_seed, look.marker, color=look.colour, alpha=0.4, markersize=4, clip_on=False
        )
    plot.errorbar(
        [x_scale * x],
        [y_scale * y],
        xerr=reach(x, cells[f"{across.key} low"], cells[f"{across.key} high"], x_scale),
        yerr=reach(y, cells[f"{up.key} low"], cells[f"{up.key} high"], y_scale),
        fmt=look.marker,
        color=look.colour,
        markersize=11 if look.marker == "*" else 7,
        elinewidth=1.2,
        label=group.label,
        clip_on=False,
    )


def set_labels(plot: Any, across: MainMetric, up: MainMetric, soft: str) -> None:
    """The metric of each axis with its description in smaller type: upwards as the heading, across below the axis."""
    heading = textwrap.wrap(up.description, LINE)
    plot.set_title(up.label, loc="left", pad=6 + 11 * len(heading), fontweight="bold")
    plot.set_xlabel(across.label, fontweight="bold")
    small = {"textcoords": "offset points", "fontsize": 8, "color": soft}
    plot.annotate("\n".join(heading), (0, 1), (0, 5), xycoords="axes fraction", **small)
    below = "\n".join(textwrap.wrap(across.description, LINE))
    plot.annotate(below, (0.5, 0), (0, -2), xycoords=plot.xaxis.label, ha="center", va="top", **small)


def reach(value: float, low: float | None, high: float | None, scale: int) -> list[list[float]] | None:
    """How far an error bar goes below and above its point."""
    if low is None or high is None:
        return None
    return [[max(0.0, scale * (value - low))], [max(0.0, scale * (high - value))]]
