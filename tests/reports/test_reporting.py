"""The report command's work: kinds built, files written, notes on what was left out."""

from dataclasses import replace
from pathlib import Path

import pytest
import small_reports
from paths import ROOT
from small_reports import FEW

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from halbench.errors import InputError
from reports.reporting import all_kinds, report
from reports.types import Options


def test_all_is_one_page_and_the_tables_for_a_paper(folder, tmp_path):
    done = report("all", [folder], FEW, [], tmp_path / "out", "A report")
    names = {path.name for path in done.written}
    assert {"report.html", "ablation_scenes.md", "ablation_scenes.tex", "leaderboard_scenes.md"} <= names
    page = (tmp_path / "out/report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", ""), "no network"
    assert len(page) < 20_000_000
    for title in ("Ablation", "Leaderboard", "Trade-off", "Breakdown", "Training curves", "Samples"):
        assert f"<h2>{title}</h2>" in page


@pytest.mark.parametrize(
    ("form", "kind", "files"), [("csv", "ablation", 2), ("png", "trade_off", 1), ("svg", "intervals", 1)]
)
def test_a_kind_is_written_in_the_requested_format(folder, tmp_path, form, kind, files):
    done = report(kind, [folder], FEW, [form], tmp_path, "")
    assert [path.suffix for path in done.written] == [f".{form}"] * files
    assert all(path.stat().st_size for path in done.written)


def test_a_note_says_which_of_the_formats_a_kind_does_not_have(folder, tmp_path):
    done = report("intervals", [folder], FEW, ["md", "svg"], tmp_path / "out", "t")
    assert [path.suffix for path in done.written] == [".svg"]
    assert any("intervals: no md file was written; tables can be md, tex, csv or html" in note for note in done.notes)


def test_a_kind_of_the_user_s_own_is_written_into_the_output_folder(folder, tmp_path):
    kind = tmp_path / "elsewhere" / "mine.py"
    kind.parent.mkdir()
    kind.write_text("from reports.kinds.leaderboard import build\nTITLE = 'Mine'\n")
    written = report(str(kind), [folder / "base"], Options(), [], tmp_path / "out", "t").written
    assert written == [tmp_path / "out/mine.html"]


def test_samples_of_two_signatures_are_two_pages(folder, tmp_path):
    small_reports.run(tmp_path / "fewer", 1, scenes=10)
    written = report("samples", [folder / "base", tmp_path / "fewer"], Options(), [], tmp_path / "out", "t").written
    assert [path.name for path in written] == ["samples_scenes_1.html", "samples_scenes_2.html"]


@pytest.mark.parametrize(
    ("kind", "formats", "message"),
    [("ablatoin", [], "did you mean 'ablation'"), ("ablation", ["pdf"], "known: csv, html")],
)
def test_an_unknown_kind_or_format_is_named(folder, tmp_path, kind, formats, message):
    with pytest.raises(InputError, match=message):
        report(kind, [folder], FEW, formats, tmp_path, "")


def test_a_file_that_is_no_kind_is_refused_by_name(folder, tmp_path):
    kind = tmp_path / "mine.py"
    kind.write_text("def build(reading, options):\n    return []\n")
    with pytest.raises(InputError, match=r"mine\.py: .*TITLE"):
        report(str(kind), [folder / "base"], Options(), [], tmp_path / "out", "t")


def test_each_kind_states_its_own_position_on_the_page():
    modules = all_kinds()
    assert [module.ORDER for module in modules.values()] == sorted(module.ORDER for module in modules.values())
    assert (next(iter(modules)), next(reversed(modules))) == ("ablation", "samples")
    assert set(modules) == {path.stem for path in (ROOT / "reports/kinds").glob("[a-z]*.py")}


# --- a suite of the user's own, whose names nothing here knows


def written(kind: str, folder: Path, out: Path, form: str, options: Options = FEW) -> dict[str, str]:
    """The files of a kind, by name."""
    return {path.name: path.read_text() for path in report(kind, [folder], options, [form], out, "").written}


OWN_COLUMNS = ("Invented food ↓ (%)", "Served food ↑ (%)", "Picked ↑ (%)")


def test_a_suite_of_ones_own_has_its_columns_wherever_results_are_enough(plates, tmp_path):
    ablation = written("ablation", plates, tmp_path, "md")
    leaderboard = written("leaderboard", plates, tmp_path, "md")
    for table in (ablation["ablation_plates.md"], leaderboard["leaderboard_plates.md"]):
        assert all(f"| {column} " in table for column in OWN_COLUMNS)
    assert "name its file with --suite" in ablation["ablation_plates.md"], "a paired test needs the suite's formulas"
    assert "Invented food ↓" in written("intervals", plates, tmp_path, "svg")["intervals_plates.svg"]
    trade_off = written("trade_off", plates, tmp_path, "svg")["trade_off_plates.svg"]
    assert all(text in trade_off for text in ("Invented food ↓ (%)", "Served food ↑ (%)", "share of named foods"))
    assert "Picked" not in trade_off
    breakdown = written("breakdown", plates, tmp_path, "md")
    assert set(breakdown) == {"breakdown_plates_lists.md", "breakdown_plates_picks.md", "objects_plates.md"}
    assert "| dpo" in breakdown["objects_plates.md"]


def test_changes_on_a_suite_of_ones_own_are_tested_with_its_file(plates, tmp_path):
    options = replace(FEW, suite_file=small_reports.PLATES_SUITE, data=plates / "data")
    changes = written("ablation", plates, tmp_path, "md", options)["ablation_plates_change.md"]
    assert all(f"| {column} " in changes for column in OWN_COLUMNS)


def test_a_report_of_everything_on_a_suite_of_ones_own_needs_no_suite_file(plates, tmp_path):
    page = written("all", plates, tmp_path, "html")["report.html"]
    for title in ("Ablation", "Leaderboard", "Intervals", "Trade-off", "Breakdown", "Samples"):
        assert f"<h2>{title}</h2>" in page
