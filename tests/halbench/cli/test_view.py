"""`halbench view`."""

import re

import pytest
import small_reports
from judged_runs import EXCERPTS, judged_run

pytest.importorskip("jinja2")
pytest.importorskip("PIL")


def test_view_writes_the_page_of_two_runs_with_the_questions_of_a_suite_of_ones_own(halbench, tmp_path):
    for name, invented in (("base", 16), ("tuned", 2)):
        small_reports.plates_run(tmp_path / name, tmp_path / "data", invented)
    done = halbench("view", "base", "tuned", "--no-open", "--suite", small_reports.PLATES_SUITE, "--data", "data")
    assert (done.returncode, done.stdout) == (0, "out/view/base-tuned.html\n")
    page = (tmp_path / "out/view/base-tuned.html").read_text()
    assert "<h1>plates: base and tuned</h1>" in page
    assert "Which comes first on plate 7?" in page


def test_view_shows_an_incomplete_run_and_says_what_it_lacks(halbench, tmp_path):
    judged_run(tmp_path / "part", unreadable=3)
    done = halbench("view", "part", "--no-open", "--data", EXCERPTS)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out/view/part.html").read_text()
    assert '"part (incomplete, 21/24 scored)"' in page
    assert "<h1>mmhal: part (incomplete, 21/24 scored)</h1>" in page
    assert "part is incomplete: 21 of 24 items scored (3 not scorable)" in page
    assert re.search(r"part: Score 1\.\d\d \(bounds 1\.\d\d to \d\.\d\d\)", page)


def test_view_refuses_a_folder_that_is_no_run(halbench, tmp_path):
    (tmp_path / "empty").mkdir()
    done = halbench("view", "empty", "--no-open")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "empty" in done.stderr
