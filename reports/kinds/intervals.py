"""The main metrics of every run with their 95 % intervals: overlapping runs are not distinguished by their values alone."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from reports.group_values import bound_cells, seed_values, value_cells
from reports.main_metrics import MainMetric
from reports.run_groups import Panel, RunGroup, check_baseline, panels
from reports.types import Figure, NothingToShow, Options, ReportInput, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TITLE = "Intervals"
ORDER = 30
COLUMNS = 3


def build(reading: ReportInput, options: Options) -> list[Figure]:
    """One figure per suite and signature."""
    check_baseline(reading, options)
    drawn = [
        Figure(
            f"intervals_{panel.name}",
            f"95% intervals on {panel.suite}",
            f"{panel.signature}. Bars: 95% intervals over images"
            + ("; small dots: single seeds" if panel.several_seeds else "")
            + ("; dotted: the values that items without a score leave open" if panel.bounds else "")
            + ("; hollow: incomplete runs" if panel.incomplete else "")
            + (f"; dashed: {baseline.label}." if baseline else "."),
            partial(draw, panel, baseline),
        )
        for panel, baseline in ((panel, panel.baseline(options)) for panel in panels(reading))
        if panel.metrics
    ]
    if not drawn:
        raise NothingToShow("no scored run")
    return drawn


def draw(panel: Panel, baseline: RunGroup | None, theme: Theme) -> "Drawing":
    """One small plot per metric, one row per run group."""
    from reports import figures

    metrics, groups = panel.metrics, panel.all_groups
    rows = math.ceil(len(metrics) / COLUMNS)
    with figures.themed(theme):
        drawing = figures.canvas(9.6, rows * (1.0 + 0.24 * len(groups)))
        axes = drawing.subplots(rows, COLUMNS, sharey=True, squeeze=False)
        for metric, plot in zip(metrics, axes.flat, strict=False):
            draw_metric(plot, panel, metric, theme)
            if baseline is not None and (value := value_cells(panel, baseline, [metric])[metric.key]) is not None:
                plot.axvline(value * metric.scale, color=figures.SOFT[theme], linestyle="--", linewidth=0.8, zorder=0)
            plot.set_title(metric.label, loc="left")
            plot.set_yticks(range(len(groups)), [group.label for group in groups])
            plot.set_ylim(len(groups) - 0.4, -0.6)
            plot.grid(axis="x", linewidth=0.6)
            plot.tick_params(axis="y", length=0)
        for plot in axes.flat[len(metrics) :]:
            plot.set_visible(False)
    return drawing


def draw_metric(plot: Any, panel: Panel, metric: MainMetric, theme: Theme) -> None:
    """The value of each run group with its interval, and small dots for single seeds below it."""
    from reports import figures

    points, intervals, dots, open_ends = [], [], [], []
    for row, group in enumerate(panel.all_groups):
        cells = value_cells(panel, group, [metric])
        value, low, high = (cells[metric.key + suffix] for suffix in ("", " low", " high"))
        if value is None:
            continue
        colour = figures.PALETTE[0] if group.trained else figures.INK[theme]
        points.append((value * metric.scale, row, colour, "none" if group in panel.incomplete else colour))
        low_end, high_end = bound_cells(panel, group, [metric]).values()
        if low_end is not None:
            open_ends.append((row - 0.22, low_end * metric.scale, high_end * metric.scale, colour))
        if low is not None and high is not None:
            intervals.append((row, low * metric.scale, high * metric.scale, colour))
        dots += [(seed * metric.scale, row + 0.28) for seed in seed_values(panel, group, metric)]
    if points:
        x, y, colours, fillings = zip(*points, strict=True)
        plot.scatter(x, y, s=20, edgecolors=colours, facecolors=fillings, zorder=3)
    if intervals:
        y, low, high, colours = zip(*intervals, strict=True)
        plot.hlines(y, low, high, colors=colours, linewidth=1.6)
    if open_ends:
        y, low, high, colours = zip(*open_ends, strict=True)
        plot.hlines(y, low, high, colors=colours, linewidth=1.2, linestyles=":")
    if dots:
        plot.plot(*zip(*dots, strict=True), ".", color=figures.SOFT[theme], markersize=3)
