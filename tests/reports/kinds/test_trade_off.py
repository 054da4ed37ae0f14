"""The figure of hallucination against coverage."""

import pandas as pd
import pytest
from small_reports import FEW

pytest.importorskip("matplotlib")

from reports.kinds import ablation, trade_off
from reports.main_metrics import MainMetric
from reports.reading import COLUMNS
from reports.types import NothingToShow, ReportInput


def test_the_trade_off_draws_the_values_of_the_table_with_their_intervals(reading):
    (figure,) = trade_off.build(reading, FEW)
    plots = [plot for plot in figure.draw("light").axes if plot.get_visible()]
    rows = ablation.build(reading, FEW)[0].frame.set_index("arm")
    assert [plot.get_title(loc="left") for plot in plots] == ["CHAIR ↓ (%)", "Hal ↓ (%)", "Cog ↓ (%)"]
    for plot, metric in zip(plots, ("chair", "hal", "cog"), strict=True):
        drawn = {bars.get_label(): bars for bars in plot.containers}
        assert set(drawn) == set(rows.index)
        point, _, bars = drawn["mdpo"].lines
        value, cover = (100 * rows.loc["mdpo", f"descriptions/{name}"] for name in (metric, "cover"))
        assert (point.get_xdata()[0], point.get_ydata()[0]) == pytest.approx((cover, value))
        upright = bars[1].get_segments()[0]
        assert [y for _, y in upright] == pytest.approx(
            [100 * rows.loc["mdpo", f"descriptions/{metric} {end}"] for end in ("low", "high")]
        )
        assert plot.get_xlabel() == "Cover ↑ (%)"


def metric(key: str, better: str, *companions: str, unit: str = "fraction") -> MainMetric:
    return MainMetric(key, better, unit, key, companions, None, "")


def test_a_metric_is_drawn_against_its_first_companion_that_is_better_higher():
    made_up = metric("all/made_up", "lower", "all/length", "all/told", "all/named")
    told, named, length = metric("all/told", "higher"), metric("all/named", "higher"), metric("all/length", "neither")
    assert trade_off.traded([made_up, named, told, length]) == [(told, made_up)]
    assert trade_off.traded([made_up, length]) == []
    assert trade_off.traded([metric("all/errors", "lower"), told]) == []


def test_ratings_are_drawn_in_their_own_unit():
    assert [metric("all/x", "lower", unit=unit).scale for unit in ("fraction", "rating", "words")] == [
        100,
        1,
        1,
    ]


def test_runs_of_suites_without_coverage_have_nothing_to_show():
    results = pd.DataFrame(columns=list(COLUMNS))
    with pytest.raises(NothingToShow, match="companion"):
        trade_off.build(ReportInput([], [], results, [], []), FEW)
