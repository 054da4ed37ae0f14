"""Reading folders: runs with their trainings, one frame of results, and what cannot be read or compared."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import small_reports
from judged_runs import judged_run

from halbench.errors import InputError
from halbench.files.records import read_json, write_json
from halbench.folders.run import FORMAT
from reports.reading import read_folders
from reports.run_groups import panels


def test_an_ablation_folder_gives_its_controls_and_cells_with_what_trained_them(reading):
    runs = {run.name: (run.role, run.objective, run.seed, run.pairs_hash) for run in reading.runs}
    assert runs["base"] == ("base", None, None, None)
    assert runs["truncated"] == ("truncated", None, None, None)
    assert runs["mdpo-lr0.0002-seed1"] == ("cell", "mdpo", 1, small_reports.PAIRS)
    assert len(reading.trainings) == 4
    assert reading.skipped == reading.incomparable == []


def test_the_frame_holds_every_result_with_its_run(reading, folder):
    rows = reading.results[reading.results["run"] == "base"]
    stored = read_json(folder / "base/run/results.json")
    values = [np.nan if row["value"] is None else row["value"] for row in stored]
    assert rows["value"].tolist() == pytest.approx(values, nan_ok=True)
    assert set(rows["signature"]) == {stored[0]["signature"]}


def test_a_run_elsewhere_is_linked_to_its_training_by_the_fingerprint_of_what_was_trained(tmp_path):
    small_reports.training(tmp_path / "trained", "dpo", 7, result="abc")
    folder = small_reports.run(tmp_path / "somewhere" / "run", 2)
    manifest = read_json(folder / "manifest.json")
    manifest["settings"]["model"]["adapter"] = "abc"
    write_json(folder / "manifest.json", manifest)
    (run,) = read_folders([tmp_path / "somewhere", tmp_path / "trained"]).runs
    assert (run.objective, run.seed) == ("dpo", 7)


def test_what_cannot_be_read_is_named_and_skipped(folder, tmp_path):
    shutil.copytree(folder / "base", tmp_path / "base")
    for name, change in (
        ("newer", {"format": FORMAT + 1}),
        ("unfinished", {"status": "running"}),
        ("foreign", {"settings": 3}),
    ):
        shutil.copytree(folder / "base/run", tmp_path / name)
        write_json(tmp_path / name / "manifest.json", read_json(tmp_path / name / "manifest.json") | change)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    reading = read_folders([tmp_path])
    assert [run.path for run in reading.runs] == [tmp_path / "base/run"]
    assert len(reading.skipped) == 4
    for name, reason in (
        ("newer", f"format {FORMAT + 1}"),
        ("unfinished", "not finished"),
        ("foreign", "field 'settings' of Manifest cannot be 3"),
        ("broken", ""),
    ):
        assert any(name in line and reason in line for line in reading.skipped), (name, reading.skipped)


def test_an_incomplete_run_is_read_and_named_with_what_it_lacks(tmp_path):
    judged_run(tmp_path / "half", unreadable=2)
    reading = read_folders([tmp_path])
    assert [run.label for run in reading.runs] == ["half (incomplete, 22/24 scored)"]
    (line,) = reading.incomplete
    assert line.startswith("half: 22 of 24 items scored (2 not scorable)")


def test_a_run_that_was_never_scored_is_left_out_in_one_line(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "generated")
    for name in ("scores.jsonl", "results.json"):
        (tmp_path / "generated" / name).unlink()
    manifest = read_json(tmp_path / "generated/manifest.json")
    write_json(tmp_path / "generated/manifest.json", manifest | {"status": "generated"})
    assert "not scored yet (generated); score it: halbench score" in read_folders([tmp_path]).skipped[0]


def test_runs_of_another_signature_are_not_compared_and_the_report_says_what_differs(folder, tmp_path):
    small_reports.run(tmp_path / "fewer" / "run", 1, scenes=10)
    reading = read_folders([folder, tmp_path / "fewer"])
    assert len(panels(reading)) == 2
    assert "items" in reading.incomparable[0]


def test_a_folder_named_twice_is_read_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(read_folders([folder / "base", Path("base"), Path()]).runs) == 6


def test_a_run_of_a_checkpoint_is_read_and_a_trainer_s_own_checkpoint_is_not(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "checkpoint-500__scenes")
    shutil.copytree(folder / "cells/dpo-lr0.0002-seed0/training", tmp_path / "trained")
    shutil.copytree(folder / "base/run", tmp_path / "trained/checkpoint-6/run")
    assert [run.path.name for run in read_folders([tmp_path]).runs] == ["checkpoint-500__scenes"]


def test_a_run_folder_without_results_is_left_out_with_a_note(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "run")
    (tmp_path / "run/results.json").write_text("{}")
    assert "contains no results; score the run again" in read_folders([tmp_path]).skipped[0]


def test_a_folder_that_does_not_exist_is_a_mistake():
    with pytest.raises(InputError, match="no such folder"):
        read_folders([Path("/nowhere/at/all")])


def test_a_run_whose_results_are_damaged_is_left_out(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "odd")
    (tmp_path / "odd/results.json").write_text(json.dumps([{"suite": 3}]))
    reading = read_folders([tmp_path])
    assert reading.runs == []
    assert "results.json" in reading.skipped[0]


@pytest.mark.parametrize("damage", ['{"item": "1", "cluster": 3}', "{", ""])
def test_a_run_whose_scores_are_damaged_is_left_out_by_name(folder, tmp_path, damage):
    for name in ("good", "odd"):
        shutil.copytree(folder / "base/run", tmp_path / name)
    (tmp_path / "odd/scores.jsonl").write_text(damage and f"{damage}\n")
    reading = read_folders([tmp_path])
    assert [run.path.name for run in reading.runs] == ["good"]
    assert "odd/scores.jsonl" in reading.skipped[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_named(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "locked")
    (tmp_path / "locked").chmod(0)
    assert "locked: cannot be read" in read_folders([tmp_path]).skipped[0]
