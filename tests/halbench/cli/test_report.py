"""`halbench report`."""

import plates_suite
import pytest
import small_reports

pytest.importorskip("jinja2")
pytest.importorskip("PIL")


def test_a_report_with_nothing_in_it_writes_nothing_and_ends_with_exit_code_2(halbench, tmp_path):
    (tmp_path / "empty").mkdir()
    done = halbench("report", "all", "empty", "--out", "out")
    assert done.returncode == 2
    assert "contains no run" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_report_prints_the_files_it_wrote_and_what_it_left_out(halbench, tmp_path):
    small_reports.plates_run(tmp_path / "runs/base", tmp_path / "data", 16)
    done = halbench("report", "leaderboard", "runs", "--out", "out", "--format", "md", "--format", "svg")
    assert (done.returncode, done.stdout) == (0, "out/leaderboard_plates.md\n")
    assert "no svg file was written" in done.stderr
    assert f"| {plates_suite.SUITE.metrics[0].label} ↓ (%) |" in (tmp_path / "out/leaderboard_plates.md").read_text()
