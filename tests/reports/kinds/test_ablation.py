"""The tables of an ablation: values, ranges over seeds, and tested changes."""

import shutil
from dataclasses import replace
from statistics import fmean

import pandas as pd
import pytest
from small_reports import ABLATION, FEW

from halbench.comparing.comparison import compare
from halbench.errors import InputError
from halbench.files.records import read_json, write_json
from halbench.statistics.paired_tests import holm
from halbench.statistics.resampling import Resampling
from reports.kinds import ablation
from reports.reading import read_folders
from reports.run_groups import mean_run, panels
from reports.types import NothingToShow, Options


def test_an_ablation_gives_means_ranges_and_intervals_over_seeds(reading):
    values, _ = ablation.build(reading, FEW)
    rows = values.frame.set_index("arm")
    assert list(rows.index) == ["base", "truncated base", "dpo", "mdpo"]
    results = reading.results.query("group == 'descriptions' and metric == 'chair' and objective == 'mdpo'")
    assert rows.loc["mdpo", "descriptions/chair"] == pytest.approx(fmean(results["value"]))
    assert rows.loc["mdpo", "descriptions/chair low"] == pytest.approx(fmean(results["low"]))
    assert rows.loc["mdpo", "descriptions/chair highest"] == results["value"].max()
    assert pd.isna(rows.loc["base", "descriptions/chair highest"])
    shown = {column.source for column in values.columns}
    assert {"descriptions/chair", "descriptions/cover", "descriptions/length"} <= shown, "CHAIR never stands alone"


def test_a_change_of_one_seed_is_what_halbench_compare_finds(folder, tmp_path):
    shutil.copytree(folder / "base", tmp_path / "base")
    write_json(tmp_path / "ablation.json", ABLATION)
    shutil.copytree(folder / "cells/dpo-lr0.0002-seed0", tmp_path / "cells/dpo-lr0.0002-seed0")
    _, changes = ablation.build(read_folders([tmp_path]), FEW)
    compared = compare(tmp_path / "base/run", tmp_path / "cells/dpo-lr0.0002-seed0/run", FEW.resampling)
    row = next(one.row for one in compared.rows if (one.row.group, one.row.metric) == ("descriptions", "chair"))
    change = changes.frame.iloc[0]
    assert change["descriptions/chair"] == row.difference
    assert (change["descriptions/chair low"], change["descriptions/chair high"]) == (row.low, row.high)


def test_significance_is_adjusted_over_the_whole_table(reading):
    enough = Options(resampling=Resampling(n_resamples=5000))  # a p of 1/200, eighteen times adjusted, marks nothing
    _, changes = ablation.build(reading, enough)
    (panel,) = panels(reading)
    base, *others = panel.groups
    measured = [ablation.paired_changes(mean_run(base), mean_run(group), panel.metrics, enough) for group in others]
    raw = [(index, key, row.p) for index, rows in enumerate(measured) for key, row in rows.items() if row.p is not None]
    for (index, key, _), adjusted in zip(raw, holm([p for *_, p in raw]), strict=True):
        row = changes.frame.iloc[index]
        assert row[f"{key} p"] == adjusted
        stars = "***" if adjusted < 0.001 else "**" if adjusted < 0.01 else "*" if adjusted < 0.05 else None
        assert row[f"{key} mark"] == stars or (stars is None and pd.isna(row[f"{key} mark"]))
    assert any(changes.frame[f"{key} mark"].notna().any() for key in ("descriptions/chair", "descriptions/hal"))
    assert changes.frame["questions/accuracy mark"].isna().all(), "all runs answer alike"


def test_a_footnote_says_when_the_number_of_resamples_limits_p_values(reading):
    _, changes = ablation.build(reading, Options(resampling=Resampling(n_resamples=100)))
    assert "none of 100 random swaps was as extreme" in changes.note


@pytest.mark.parametrize("name", ["dpo", "dpo-lr0.0002-seed1"])
def test_any_run_or_objective_can_be_the_baseline(reading, name):
    _, changes = ablation.build(reading, replace(FEW, baseline=name))
    assert changes.title == "Change against dpo on scenes"
    assert "dpo" not in set(changes.frame["arm"])


def test_an_unknown_baseline_gets_a_suggestion(reading):
    with pytest.raises(InputError, match="did you mean 'mdpo'"):
        ablation.build(reading, replace(FEW, baseline="mdop"))


def test_an_ablation_without_trained_models_has_nothing_to_show(folder):
    with pytest.raises(NothingToShow, match="halbench train"):
        ablation.build(read_folders([folder / "base"]), FEW)


def test_numbers_of_another_version_of_a_suite_are_shown_without_changes(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "old")
    for path in (tmp_path / "old").rglob("manifest.json"):
        manifest = read_json(path)
        manifest["signature_fields"]["version"] = "0"
        write_json(path, manifest)
    (only,) = ablation.build(read_folders([tmp_path / "old"]), Options())
    assert "score both again" in only.note
