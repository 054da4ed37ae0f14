"""The figure of every run's metrics with their intervals."""

import pytest
from small_reports import FEW

pytest.importorskip("matplotlib")

from matplotlib.collections import LineCollection, PathCollection

from reports.kinds import intervals
from reports.run_groups import panels


def test_each_metric_has_a_plot_and_each_group_a_row_with_its_interval(reading):
    (figure,) = intervals.build(reading, FEW)
    (panel,) = panels(reading)
    plots = [plot for plot in figure.draw("light").axes if plot.get_visible()]
    assert [plot.get_title(loc="left") for plot in plots] == [metric.label for metric in panel.metrics]
    names = [label.get_text() for label in plots[0].get_yticklabels()]
    assert names == ["base", "truncated base", "dpo", "mdpo"]
    results = reading.results.query("run == 'base' and group == 'descriptions' and metric == 'chair'").iloc[0]
    intervals_drawn = next(lines for lines in plots[0].collections if isinstance(lines, LineCollection))
    (low, row), (high, _) = intervals_drawn.get_segments()[0]
    assert (low, high, row) == pytest.approx((100 * results["low"], 100 * results["high"], 0))
    points = next(marks for marks in plots[0].collections if isinstance(marks, PathCollection))
    assert list(points.get_offsets()[0]) == pytest.approx([100 * results["value"], 0])
    assert [len(line.get_xdata()) for line in plots[0].lines if line.get_marker() == "."] == [4], (
        "two groups of two seeds"
    )


def test_the_caption_names_the_baseline_and_the_dots(reading):
    (figure,) = intervals.build(reading, FEW)
    assert "dashed: base" in figure.note
    assert "single seeds" in figure.note
