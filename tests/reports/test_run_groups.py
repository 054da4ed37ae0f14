"""Which runs share a table and a row, and which one the others are compared with."""

import shutil
from dataclasses import replace

from small_reports import FEW, run, training

from halbench.files.records import read_json, write_json
from reports.kinds import ablation, leaderboard, samples
from reports.reading import read_folders
from reports.run_groups import by_settings, panels
from reports.types import Options


def test_models_trained_on_different_pairs_do_not_share_a_table(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "again")
    for path in (tmp_path / "again/cells").glob("mdpo*/training/training.json"):
        record = read_json(path)
        record["identity"]["pairs"] = "other"
        write_json(path, record)
    reading = read_folders([tmp_path / "again"])
    labels = [[group.label for group in panel.groups] for panel in panels(reading)]
    assert labels == [["base", "truncated base", "dpo"], ["base", "truncated base", "mdpo"]]
    assert "different preference pairs" in reading.incomparable[0]


def settings(path, **changes):
    """Write other settings of a recipe into a training's record."""
    record = read_json(path / "training.json")
    record["settings"]["recipe"] |= changes
    write_json(path / "training.json", record)


def labels(folders):
    return [(group.label, len(group.runs)) for panel in panels(read_folders(folders)) for group in panel.groups]


def test_trainings_under_other_settings_are_not_seeds_of_one_group(folder, tmp_path):
    cells = shutil.copytree(folder, tmp_path / "again") / "cells"
    settings(cells / "dpo-lr0.0002-seed1/training", epochs=3)
    assert labels([tmp_path / "again"])[2:] == [("dpo, epochs None", 1), ("dpo, epochs 3", 1), ("mdpo", 2)]
    curves = by_settings(read_folders([tmp_path / "again"]).trainings)
    assert [len(trainings) for trainings in curves.values()] == [1, 1, 2]


def test_runs_that_repeat_a_seed_are_not_averaged(folder, tmp_path):
    cells = shutil.copytree(folder, tmp_path / "again") / "cells"
    settings(cells / "dpo-lr0.0002-seed1/training", seed=0)
    trained = labels([tmp_path / "again"])[2:]
    assert [name.partition(":")[0] for name, _ in trained] == ["dpo", "dpo", "mdpo"]
    assert [seeds for _, seeds in trained] == [1, 1, 2]


def test_outside_an_ablation_the_run_of_the_trained_checkpoint_is_the_baseline(folder, tmp_path):
    run(tmp_path / "plain", 18)
    run(tmp_path / "tuned", 2)
    training(tmp_path / "training", "dpo", 0, result="abc")
    for name, model in (("plain", {"fingerprint": "base"}), ("tuned", {"fingerprint": "base", "adapter": "abc"})):
        manifest = read_json(tmp_path / name / "manifest.json")
        manifest["settings"]["model"] = model
        write_json(tmp_path / name / "manifest.json", manifest)
    reading = read_folders([tmp_path])
    (panel,) = panels(reading)
    assert panel.baseline(Options()).label == "plain"
    assert [table.title for table in ablation.build(reading, FEW)][1].startswith("Change against plain")


def test_a_run_that_lacks_a_score_is_marked_in_every_table_and_in_the_browser(folder, tmp_path):
    again = shutil.copytree(folder, tmp_path / "again")
    manifest = read_json(again / "base/run/manifest.json")
    items = manifest["coverage"]["items"]
    manifest["coverage"] |= {"scored": items - 1, "unscored": 1}
    write_json(again / "base/run/manifest.json", manifest)
    reading = read_folders([again])
    marked = f"base ({items - 1}/{items} scored)"
    for kind, column in ((leaderboard, "model"), (ablation, "arm")):
        assert list(kind.build(reading, FEW)[0].frame[column])[:2] == [marked, "truncated base"]
    assert marked in samples.build(reading, FEW)[0].html
    assert panels(reading)[0].baseline(replace(FEW, baseline="base")).label == marked
