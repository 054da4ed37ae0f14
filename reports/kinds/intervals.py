"""Every run's main metrics with their 95 % intervals: what overlaps is not told apart by looking at the values."""

import math
from functools import partial
from typing import TYPE_CHECKING

from reports.arms import Arm, Panel, check_baseline, panels
from reports.kinds.ablation import value_cells
from reports.types import Figure, NothingToShow, Options, Reading, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TITLE = "Intervals"
COLUMNS = 3


def build(reading: Reading, options: Options) -> list[Figure]:
    """One figure per suite and signature."""
    check_baseline(reading, options)
    made = [
        Figure(
            f"intervals_{panel.name}",
            f"95% intervals on {panel.suite}",
            f"{panel.signature}. Bars: 95% intervals over images"
            + ("; small dots: single seeds" if panel.several_seeds else "")
            + (f"; dashed: {baseline.label}." if baseline else "."),
            partial(draw, panel, baseline),
        )
        for panel, baseline in ((panel, panel.baseline(options)) for panel in panels(reading))
        if panel.metrics
    ]
    if not made:
        raise NothingToShow("no complete run")
    return made


def draw(panel: Panel, baseline: Arm | None, theme: Theme) -> "Drawing":
    """One small plot per metric, the runs below each other."""
    from reports import figures

    metrics, arms = panel.metrics, panel.arms
    rows = math.ceil(len(metrics) / COLUMNS)
    with figures.themed(theme):
        drawing = figures.canvas(9.6, rows * (1.0 + 0.24 * len(arms)))
        axes = drawing.subplots(rows, COLUMNS, sharey=True, squeeze=False)
        for metric, plot in zip(metrics, axes.flat, strict=False):
            scale = 100 if metric.unit == "fraction" else 1
            for place, arm in enumerate(arms):
                cells = value_cells(panel, arm, [metric])
                value, low, high = (cells[metric.key + name] for name in ("", " low", " high"))
                if value is None:
                    continue
                colour = figures.PALETTE[0] if arm.trained else figures.INK[theme]
                if low is not None and high is not None:
                    plot.plot([low * scale, high * scale], [place, place], color=colour, linewidth=1.6, gid="interval")
                plot.plot([value * scale], [place], "o", color=colour, markersize=4.5)
                for seed in seeds(panel, arm, metric.key):
                    plot.plot([seed * scale], [place + 0.28], ".", color=figures.SOFT[theme], markersize=3)
                if arm is baseline:
                    plot.axvline(value * scale, color=figures.SOFT[theme], linestyle="--", linewidth=0.8, zorder=0)
            plot.set_title(metric.label, loc="left")
            plot.set_yticks(range(len(arms)), [arm.label for arm in arms])
            plot.set_ylim(len(arms) - 0.4, -0.6)
            plot.grid(axis="x", linewidth=0.6)
            plot.tick_params(axis="y", length=0)
        for plot in axes.flat[len(metrics) :]:
            plot.set_visible(False)
    return drawing


def seeds(panel: Panel, arm: Arm, key: str) -> list[float]:
    """The value of each seed, where there are several."""
    if len(arm.runs) < 2:
        return []
    group, _, metric = key.partition("/")
    results = panel.results
    found = results[(results["group"] == group) & (results["metric"] == metric)]
    return [float(value) for value in found[found["run"].isin([run.name for run in arm.runs])]["value"].dropna()]
