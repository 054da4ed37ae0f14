"""One table of all models over all suites: rows, columns, order, and what may not share them."""

from pathlib import Path

import pytest
from small_reports import FEW, plates_run, run, training

from halbench.errors import InputError
from halbench.files.records import read_json, write_json
from reports import write
from reports.kinds import leaderboard
from reports.reading import read_folders
from reports.types import Options, Table


def named(folder: Path, name: str, weights: str = "", **identity: str) -> Path:
    """A run as a sweep writes it: with the name and the weights of its model."""
    path = folder / "manifest.json"
    manifest = read_json(path)
    manifest["name"] = name
    manifest["settings"]["model"] = {"model": "ckpt", "fingerprint": weights or name, **identity}
    write_json(path, manifest)
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models a and b on two suites, the second of b incomplete."""
    root = tmp_path_factory.mktemp("sweep")
    named(run(root / "a/scenes", 12), "a")
    named(run(root / "b/scenes", 3), "b")
    named(run(root / "c/scenes", 3, missing=12), "c")
    named(plates_run(root / "a/plates", root / "data", 2), "a")
    named(plates_run(root / "b/plates", root / "data", 9), "b")
    named(plates_run(root / "c/plates", root / "data", 5), "c")
    return root


def overview(*folders: Path, options: Options = FEW) -> list[Table]:
    tables = leaderboard.build(read_folders(folders), options)
    return [table for table in tables if table.name.startswith("leaderboard_models")]


def test_a_row_is_a_model_and_each_suite_has_its_headline_metrics_and_their_companions(sweep):
    (table,) = overview(sweep)
    assert list(table.frame["model"]) == ["a", "c", "b"], "best first in the first column"
    assert {column.over for column in table.columns} == {"", "plates", "scenes"}
    of_scenes = [column.label.split()[0] for column in table.columns if column.over == "scenes"]
    assert of_scenes == ["CHAIR", "Cover", "Hal", "Cog", "Length", "Accuracy"]


def test_an_incomplete_run_is_a_dash_and_has_a_table_of_its_own(sweep):
    (table,) = overview(sweep)
    row = next(row for row in write.rows_of(table) if row["model"] == "c")
    cells = {column.over: write.cell(column, row) for column in table.columns}
    assert (cells["scenes"], cells["plates"] != write.MISSING) == (write.MISSING, True)
    assert "leaderboard_scenes_incomplete" in {one.name for one in leaderboard.build(read_folders([sweep]), FEW)}


def test_models_are_ordered_by_the_chosen_metric(sweep):
    by_cover = overview(sweep, options=Options(sort="scenes/chair", resampling=FEW.resampling))
    assert list(by_cover[0].frame["model"]) == ["b", "a", "c"]
    with pytest.raises(
        InputError, match="--sort scenes/chiar: no such metric in these runs; did you mean 'scenes/chair'"
    ):
        overview(sweep, options=Options(sort="scenes/chiar"))


def test_numbers_of_two_signatures_are_in_two_columns_that_say_what_differs(sweep, tmp_path):
    more = named(run(tmp_path / "a/more", 2, scenes=12), "a")
    (table,) = overview(sweep, more)
    headings = {column.over for column in table.columns}
    assert len([heading for heading in headings if heading.startswith("scenes, items ")]) == 2
    assert list(table.frame["model"]).count("a") == 1


def test_models_that_share_a_name_are_not_one_row(sweep, tmp_path):
    other = named(run(tmp_path / "a/scenes", 0), "a", weights="others")
    precise = named(run(tmp_path / "precise/scenes", 1), "b", dtype="float32")
    (table,) = overview(sweep, other, precise)
    labels = list(table.frame["model"])
    assert len(labels) == 5
    assert {"a (fingerprint a)", "a (fingerprint others)", "b (dtype None)", "b (dtype float32)"} < set(labels)


def test_runs_of_one_suite_need_no_overview_and_those_of_its_parts_do(sweep, tmp_path):
    assert overview(sweep / "a/scenes", sweep / "b/scenes") == []
    part = named(run(tmp_path / "part", 2, scenes=12), "a")
    (table,) = overview(sweep / "a/scenes", part)
    assert list(table.frame["model"]) == ["a"]


def test_models_trained_on_different_pairs_share_no_table(sweep, tmp_path):
    for pairs in ("0123456789ab", "ba9876543210"):
        training(tmp_path / f"{pairs}/training", "dpo", 0, pairs, result=pairs)
        named(run(tmp_path / f"{pairs}/scenes", 3), pairs, weights=pairs)
        named(plates_run(tmp_path / f"{pairs}/plates", sweep / "data", 3), pairs, weights=pairs)
    tables = overview(sweep, tmp_path)
    assert len(tables) == 2
    for table in tables:
        assert len(list(table.frame["model"])) == 4, "a, b, c and one of the trained models"


def test_the_suites_stand_over_their_columns_in_every_format(sweep):
    (table,) = overview(sweep)
    html, latex, markdown = write.html_table(table), write.latex(table), write.markdown(table)
    assert '<th scope="colgroup" colspan="6">scenes</th>' in html
    assert r"\multicolumn{6}{c}{scenes}" in latex
    assert "| scenes: CHAIR ↓ (%) |" in markdown
