"""Runs that lack scores in every kind of report: marked, with bounds; incomplete ones apart, and tested nowhere."""

import re
import shutil
from dataclasses import replace

import pytest
import small_reports
from judged_runs import judged_run
from small_reports import FEW

from halbench.errors import InputError
from reports import reporting
from reports.kinds import ablation, breakdown, intervals, leaderboard, samples, trade_off
from reports.reading import read_folders
from reports.write import markdown


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Runs that lack 1 and 6 of 24 verdicts."""
    folder = tmp_path_factory.mktemp("judged")
    for name, unreadable in (("nearly", 1), ("part", 6)):
        judged_run(folder / name, unreadable)
    return folder


def test_the_leaderboard_marks_a_run_that_lacks_one_verdict_and_shows_its_bounds(judged):
    board, _ = leaderboard.build(read_folders([judged]), FEW)
    ours = board.frame[~board.frame["published"]]
    assert list(ours["model"]) == ["nearly (23/24 scored)"]
    value, low, high = (ours[f"all/score{suffix}"].iloc[0] for suffix in ("", " lower bound", " upper bound"))
    points = round(23 * value)
    assert (low, high) == (points / 24, (points + 6) / 24)
    assert re.search(rf"{value:.2f} .*\({low:.2f}–{high:.2f}\)", markdown(board))
    assert "the items without a score leave open" in board.note


def test_incomplete_runs_are_in_a_table_of_their_own_with_their_bounds_and_what_is_wrong(judged):
    _, apart = leaderboard.build(read_folders([judged]), FEW)
    (row,) = apart.frame.to_dict("records")
    assert (row["run"], row["scored"]) == ("part", "18/24")
    assert row["reason"].startswith("18 of 24 items scored (6 not scorable)")
    wrong = round(18 * row["all/hallucination_rate"])
    bounds = [row[f"all/hallucination_rate {end} bound"] for end in ("lower", "upper")]
    assert bounds == [wrong / 24, (wrong + 6) / 24]


def test_a_suite_with_nothing_but_incomplete_runs_is_still_shown(judged):
    reading = read_folders([judged / "part"])
    assert [table.name for table in leaderboard.build(reading, FEW)] == ["leaderboard_mmhal_incomplete"]
    assert "part (incomplete, 18/24 scored)" in samples.build(reading, FEW)[0].html
    assert [figure.name for figure in intervals.build(reading, FEW)] == ["intervals_mmhal"]


def test_an_incomplete_seed_is_neither_averaged_nor_tested_but_listed(folder, tmp_path):
    again = shutil.copytree(folder, tmp_path / "again")
    shutil.rmtree(again / "cells/dpo-lr0.0002-seed1/run")
    small_reports.run(again / "cells/dpo-lr0.0002-seed1/run", 5, missing=8)
    reading = read_folders([again])
    values, changes, apart = ablation.build(reading, FEW)
    for table in (values, changes):
        assert table.frame.set_index("arm").loc["dpo", "seeds"] == 1
    assert values.note.endswith("Incomplete, so not in this table: dpo-lr0.0002-seed1.")
    assert list(apart.frame["run"]) == ["dpo-lr0.0002-seed1"]
    assert (
        apart.frame["descriptions/chair upper bound"].isna().all()
    )  # nobody knows what an unseen description mentions
    low, high = (apart.frame[f"descriptions/hal {end} bound"].iloc[0] for end in ("lower", "upper"))
    assert high - low == pytest.approx(8 / small_reports.SCENES)


def test_groups_and_samples_mark_an_incomplete_run(judged):
    reading = read_folders([judged])
    (groups,) = breakdown.build(reading, FEW)
    assert list(groups.frame["run"])[:2] == ["nearly (23/24 scored)", "part (incomplete, 18/24 scored)"]
    page = samples.build(reading, FEW)[0]
    assert "part (incomplete, 18/24 scored)" in page.html
    assert "part is incomplete: 18 of 24 items scored" in page.note


def test_figures_draw_an_incomplete_run_hollow_or_name_it(judged):
    pytest.importorskip("matplotlib")
    reading = read_folders([judged])
    (figure,) = intervals.build(reading, FEW)
    plot = figure.draw("light").axes[0]
    assert plot.get_yticklabels()[1].get_text() == "part (incomplete, 18/24 scored)"
    points = plot.collections[0]
    assert [len(points.get_edgecolors()), points.get_facecolors()[1][3]] == [2, 0]
    assert "hollow: incomplete runs" in figure.note
    (drawn,) = trade_off.build(reading, FEW)
    assert drawn.note.endswith("Not drawn, since incomplete: part.")


def test_an_incomplete_run_is_no_baseline(judged):
    with pytest.raises(InputError, match="--baseline 'part': the run is incomplete"):
        leaderboard.build(read_folders([judged]), replace(FEW, baseline="part"))


def test_the_page_and_the_notes_name_incomplete_runs_first(judged, tmp_path):
    done = reporting.report("leaderboard", [judged], FEW, [], tmp_path, "Report")
    assert done.notes[0].startswith("incomplete: part: 18 of 24 items scored")
    page = (tmp_path / "leaderboard.html").read_text()
    assert "<h2>Incomplete, so shown apart and not tested</h2><ul><li>part: 18 of 24" in page
    assert "nearly:" not in page
