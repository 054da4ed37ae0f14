"""Reports: what is read, what stands in the tables, and how they are written."""

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import small_reports
from PIL import Image

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from halbench.comparison import compare
from halbench.errors import InputError
from halbench.records import read_json, write_json
from halbench.statistics import holm
from halbench.types import Score
from reports import figures, write
from reports.arms import Arm, mean_run, panels
from reports.frame import read_folders
from reports.kinds import ablation, breakdown, intervals, leaderboard, samples, trade_off, training_curves
from reports.main_metrics import MainMetric
from reports.reporting import report
from reports.thumbnails import thumbnail
from reports.types import Column, NothingToShow, Options, Table

FEW = Options(resamples=200)
HOSTILE = r"""100% $x$ _a_ {b} #1 & \cmd ~ ^ <script>alert(1)</script> | "q" 'r' [z] `t` 中文 é 🙂 ↑"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_reports.ablation(tmp_path_factory.mktemp("reports") / "ablation")


@pytest.fixture(scope="module")
def reading(folder: Path):
    return read_folders([folder])


# --- reading


def test_an_ablation_folder_gives_its_controls_and_cells_with_what_trained_them(reading):
    told = {run.name: (run.role, run.objective, run.seed, run.pairs_hash) for run in reading.runs}
    assert told["base"] == ("base", None, None, None)
    assert told["truncated"] == ("truncated", None, None, None)
    assert told["mdpo-lr0.0002-seed1"] == ("cell", "mdpo", 1, small_reports.PAIRS)
    assert len(reading.trainings) == 4
    assert reading.skipped == reading.apart == []


def test_the_frame_holds_every_result_with_its_run(reading, folder):
    found = reading.results[reading.results["run"] == "base"]
    stored = read_json(folder / "base/run/results.json")
    values = [np.nan if row["value"] is None else row["value"] for row in stored]
    assert found["value"].tolist() == pytest.approx(values, nan_ok=True)
    assert set(found["signature"]) == {stored[0]["signature"]}


def test_a_run_elsewhere_is_linked_to_its_training_by_the_fingerprint_of_what_was_trained(tmp_path):
    small_reports.training(tmp_path / "trained", "dpo", 7, result="abc")
    made = small_reports.run(tmp_path / "somewhere" / "run", 2)
    manifest = read_json(made / "manifest.json")
    manifest["settings"]["model"]["adapter"] = "abc"
    write_json(made / "manifest.json", manifest)
    (found,) = read_folders([tmp_path / "somewhere", tmp_path / "trained"]).runs
    assert (found.objective, found.seed) == ("dpo", 7)


def test_what_cannot_be_read_is_named_and_skipped(folder, tmp_path):
    shutil.copytree(folder / "base", tmp_path / "base")
    for name, change in (("newer", {"format": 2}), ("unfinished", {"status": "running"}), ("foreign", {"settings": 3})):
        shutil.copytree(folder / "base/run", tmp_path / name)
        write_json(tmp_path / name / "manifest.json", read_json(tmp_path / name / "manifest.json") | change)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    found = read_folders([tmp_path])
    assert [run.path for run in found.runs] == [tmp_path / "base/run"]
    assert len(found.skipped) == 4
    for name, reason in (
        ("newer", "format 2"),
        ("unfinished", "not finished"),
        ("foreign", "not the manifest"),
        ("broken", ""),
    ):
        assert any(name in line and reason in line for line in found.skipped), (name, found.skipped)


def test_an_incomplete_run_is_skipped_with_what_it_lacks(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "half")
    manifest = read_json(tmp_path / "half/manifest.json")
    manifest |= {"status": "incomplete", "coverage": manifest["coverage"] | {"scored": 10, "errors": 5, "share": 0.5}}
    write_json(tmp_path / "half/manifest.json", manifest)
    assert "incomplete" in read_folders([tmp_path]).skipped[0]


def test_runs_of_another_signature_are_shown_apart_with_what_differs(folder, tmp_path):
    small_reports.run(tmp_path / "fewer" / "run", 1, scenes=10)
    reading = read_folders([folder, tmp_path / "fewer"])
    assert len(panels(reading)) == 2
    assert "items" in reading.apart[0]


def test_models_trained_on_other_pairs_are_not_put_into_one_table(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "again")
    for path in (tmp_path / "again/cells").glob("mdpo*/training/training.json"):
        write_json(path, read_json(path) | {"identity": {"pairs": "other"}})
    reading = read_folders([tmp_path / "again"])
    labels = [[arm.label for arm in panel.arms] for panel in panels(reading)]
    assert labels == [["base", "truncated base", "dpo"], ["base", "truncated base", "mdpo"]]
    assert "other preference pairs" in reading.apart[0]


def settings(path, **changes):
    """Write other settings of a recipe into a training's record."""
    record = read_json(path / "training.json")
    record["settings"]["recipe"] |= changes
    write_json(path / "training.json", record)


def labels(folders):
    return [(arm.label, len(arm.runs)) for panel in panels(read_folders(folders)) for arm in panel.arms]


def test_trainings_under_other_settings_are_not_seeds_of_one_arm(folder, tmp_path):
    cells = shutil.copytree(folder, tmp_path / "again") / "cells"
    settings(cells / "dpo-lr0.0002-seed1/training", epochs=3)
    assert labels([tmp_path / "again"])[2:] == [("dpo, epochs None", 1), ("dpo, epochs 3", 1), ("mdpo", 2)]
    curves = training_curves.by_settings(read_folders([tmp_path / "again"]).trainings)
    assert [len(trainings) for trainings in curves.values()] == [1, 1, 2]


def test_a_seed_that_is_there_twice_is_no_second_seed(folder, tmp_path):
    cells = shutil.copytree(folder, tmp_path / "again") / "cells"
    settings(cells / "dpo-lr0.0002-seed1/training", seed=0)
    found = labels([tmp_path / "again"])
    assert [name.partition(":")[0] for name, _ in found[2:]] == ["dpo", "dpo", "mdpo"]
    assert [seeds for _, seeds in found[2:]] == [1, 1, 2]


def test_a_folder_named_twice_is_read_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(read_folders([folder / "base", Path("base"), Path()]).runs) == 6


def test_a_run_of_a_checkpoint_is_read_and_a_trainer_s_own_checkpoint_is_not(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "checkpoint-500__scenes")
    shutil.copytree(folder / "cells/dpo-lr0.0002-seed0/training", tmp_path / "trained")
    shutil.copytree(folder / "base/run", tmp_path / "trained/checkpoint-6/run")
    assert [run.path.name for run in read_folders([tmp_path]).runs] == ["checkpoint-500__scenes"]


def test_samples_of_two_signatures_are_two_pages(folder, tmp_path):
    small_reports.run(tmp_path / "fewer", 1, scenes=10)
    made = report("samples", [folder / "base", tmp_path / "fewer"], Options(), [], tmp_path / "out", "t").written
    assert [path.name for path in made] == ["samples_scenes_1.html", "samples_scenes_2.html"]


def test_the_base_of_what_was_trained_is_the_baseline_outside_an_ablation_too(folder, tmp_path):
    small_reports.run(tmp_path / "plain", 18)
    small_reports.run(tmp_path / "tuned", 2)
    small_reports.training(tmp_path / "training", "dpo", 0, result="abc")
    for name, model in (("plain", {"fingerprint": "base"}), ("tuned", {"fingerprint": "base", "adapter": "abc"})):
        manifest = read_json(tmp_path / name / "manifest.json")
        manifest["settings"]["model"] = model
        write_json(tmp_path / name / "manifest.json", manifest)
    reading = read_folders([tmp_path])
    (panel,) = panels(reading)
    assert panel.baseline(Options()).label == "plain"
    assert [table.title for table in ablation.build(reading, FEW)][1].startswith("Change against plain")


def test_a_run_folder_without_numbers_is_left_out_and_said_so(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "run")
    (tmp_path / "run/results.json").write_text("{}")
    assert "holds no numbers; score the run again" in read_folders([tmp_path]).skipped[0]


def test_a_format_that_a_kind_is_not_made_in_is_said(folder, tmp_path):
    found = report("intervals", [folder], FEW, ["md", "svg"], tmp_path / "out", "t")
    assert [path.suffix for path in found.written] == [".svg"]
    assert any(
        "intervals: made nothing as md; tables are written as md, tex, csv, figures as svg, png" in n
        for n in found.notes
    )


def test_a_p_value_that_the_number_of_draws_bounds_is_said(reading):
    _, changes = ablation.build(reading, replace(FEW, resamples=100))
    assert "Of 100 random swaps none was as extreme" in changes.note


def test_a_kind_of_the_user_s_own_is_written_into_the_folder_asked_for(folder, tmp_path):
    kind = tmp_path / "elsewhere" / "mine.py"
    kind.parent.mkdir()
    kind.write_text("from reports.kinds.leaderboard import build\nTITLE = 'Mine'\n")
    made = report(str(kind), [folder / "base"], Options(), [], tmp_path / "out", "t").written
    assert made == [tmp_path / "out/mine.html"]


def test_numbers_of_another_version_of_a_suite_are_shown_without_changes(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "old")
    for path in (tmp_path / "old").rglob("manifest.json"):
        manifest = read_json(path)
        manifest["signature_fields"]["version"] = "0"
        write_json(path, manifest)
    (only,) = ablation.build(read_folders([tmp_path / "old"]), Options())
    assert "score both again" in only.note


@pytest.mark.parametrize(("rating", "hallucinated", "wrong"), [(6, 0, False), (4, 0, False), (2, 1, True)])
def test_a_rating_below_the_best_is_no_hallucination_by_itself(rating, hallucinated, wrong):
    score = Score("1", "1.jpg", "all", {"rating": rating, "hallucinated": hallucinated})
    assert (samples.fault(score), samples.wrong(score)) == (6 - rating, wrong)


def test_a_damaged_image_has_no_thumbnail(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (60, 60), "red").save(path)
    content = bytearray(path.read_bytes())
    content[37:41] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert thumbnail(path) is None


def test_a_folder_that_is_not_there_is_a_mistake():
    with pytest.raises(InputError, match="no such folder"):
        read_folders([Path("/nowhere/at/all")])


# --- kinds


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
    write_json(tmp_path / "ablation.json", {"format": 1})
    shutil.copytree(folder / "cells/dpo-lr0.0002-seed0", tmp_path / "cells/dpo-lr0.0002-seed0")
    _, changes = ablation.build(read_folders([tmp_path]), FEW)
    compared = compare(tmp_path / "base/run", tmp_path / "cells/dpo-lr0.0002-seed0/run", folds=200)
    row = next(one.row for one in compared.rows if (one.row.group, one.row.metric) == ("descriptions", "chair"))
    found = changes.frame.iloc[0]
    assert found["descriptions/chair"] == row.difference
    assert (found["descriptions/chair low"], found["descriptions/chair high"]) == (row.low, row.high)


def test_significance_is_adjusted_over_the_whole_table(reading):
    enough = replace(FEW, resamples=5000)  # a p of 1/200, eighteen times adjusted, marks nothing
    _, changes = ablation.build(reading, enough)
    (panel,) = panels(reading)
    base, *others = panel.arms
    found = [ablation.measured(mean_run(base), mean_run(arm), panel.metrics, enough) for arm in others]
    raw = [(place, key, row.p) for place, rows in enumerate(found) for key, row in rows.items() if row.p is not None]
    for (place, key, _), adjusted in zip(raw, holm([p for *_, p in raw]), strict=True):
        row = changes.frame.iloc[place]
        assert row[f"{key} p"] == adjusted
        stars = "***" if adjusted < 0.001 else "**" if adjusted < 0.01 else "*" if adjusted < 0.05 else None
        assert row[f"{key} mark"] == stars or (stars is None and pd.isna(row[f"{key} mark"]))
    assert any(changes.frame[f"{key} mark"].notna().any() for key in ("descriptions/chair", "descriptions/hal"))
    assert changes.frame["questions/accuracy mark"].isna().all(), "all runs answer alike"


@pytest.mark.parametrize("name", ["dpo", "dpo-lr0.0002-seed1"])
def test_any_arm_can_be_the_baseline(reading, name):
    _, changes = ablation.build(reading, replace(FEW, baseline=name))
    assert changes.title == "Change against dpo on scenes"
    assert "dpo" not in set(changes.frame["arm"])


def test_an_unknown_baseline_gets_a_suggestion(reading):
    with pytest.raises(InputError, match="did you mean 'mdpo'"):
        ablation.build(reading, replace(FEW, baseline="mdop"))


def test_the_leaderboard_names_the_adapter_and_not_only_the_weights_below_it(reading):
    (panel,) = panels(reading)
    (base,) = panel.arms[0].runs
    for model, told in (
        ({"fingerprint": "w1"}, "measured here, weights w1"),
        ({"fingerprint": "w1", "adapter": "a1"}, "measured here, adapter a1 on weights w1"),
        ({}, "measured here"),
    ):
        run = replace(base, manifest={"settings": {"model": model}})
        assert leaderboard.ours(Arm("x", (run,))) == told
        several = leaderboard.ours(Arm("x", (run, run)))
        assert several == ("measured here, 2 seeds" + (", adapters on weights w1" if "adapter" in model else ""))


def test_an_ablation_of_runs_that_nobody_trained_has_nothing_to_show(folder):
    with pytest.raises(NothingToShow, match="halbench train"):
        ablation.build(read_folders([folder / "base"]), FEW)


def test_published_rows_name_their_source_and_what_others_print():
    metric = MainMetric("generative/chair", "lower", "fraction", "CHAIR")
    rows = [row for row in leaderboard.published_rows("amber", [metric]) if row["model"] == "LLaVA-1.5-7B"]
    assert {round(row["generative/chair"], 6) for row in rows} == {0.074, 0.078}
    own = next(row for row in rows if round(row["generative/chair"], 6) == 0.074)
    assert "arXiv:2406.11839v2 table 1" in own["source"]
    assert "elsewhere chair 7.8" in own["source"]
    assert all(row["published"] for row in rows)


def test_a_leaderboard_sets_published_rows_apart(reading):
    (table,) = leaderboard.build(reading, FEW)
    assert table.apart is None, "nobody published numbers of scenes"
    assert list(table.frame["model"]) == ["base", "truncated base", "dpo", "mdpo"]


def test_the_breakdown_finds_the_object_beside_which_another_is_hallucinated():
    def score(item: int, truth: list[str], wrong: list[str]) -> Score:
        return Score(str(item), f"{item}.jpg", "all", {}, {"hallucinated": wrong, "truth": truth, "mentions": []})

    rows = [score(n, ["person", "car"], ["handbag"] if n < 6 else []) for n in range(10)]
    rows += [score(n, ["dog"], ["cat"] if n == 10 else []) for n in range(10, 30)]
    found = breakdown.counted_objects("run", rows).set_index("object")
    assert list(found.index) == ["handbag", "cat"]
    bag = found.loc["handbag"]
    assert (bag["responses"], bag["share"], bag["both"]) == (6, 6 / 30, 6)
    assert bag["beside"] in ("person", "car")
    assert (bag["rate with"], bag["rate without"]) == (0.6, 0.0)


def test_the_breakdown_has_a_row_for_each_group_and_run(reading):
    *tables, objects = breakdown.build(reading, FEW)
    assert [set(table.frame["group"]) > {"descriptions"} for table in tables] == [False, False]
    assert [len(table.frame) for table in tables] == [table.frame["group"].nunique() * 6 for table in tables]
    sources = [{column.source for column in table.columns} for table in tables]
    assert [("chair" in names, "accuracy" in names) for names in sources] == [(True, False), (False, True)]
    assert objects.frame["share"].between(0, 1).all()


# --- figures


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", [intervals, trade_off, training_curves])
def test_figures_are_valid_svg_with_text_and_the_same_each_time(kind, theme, reading):
    for figure in kind.build(reading, FEW):
        document = figures.svg(figure.draw(theme))
        root = ElementTree.fromstring(document)
        words = " ".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))
        assert "mdpo" in words
        assert figures.svg(figure.draw(theme)) == document


def test_the_trade_off_draws_the_frames_numbers_with_their_intervals(reading):
    (figure,) = trade_off.build(reading, FEW)
    (axes,) = figure.draw("light").axes
    rows = ablation.build(reading, FEW)[0].frame.set_index("arm")
    drawn = {bars.get_label(): bars for bars in axes.containers}
    assert set(drawn) == set(rows.index)
    point, _, bars = drawn["mdpo"].lines
    chair, cover = (100 * rows.loc["mdpo", f"descriptions/{name}"] for name in ("chair", "cover"))
    assert (point.get_xdata()[0], point.get_ydata()[0]) == pytest.approx((cover, chair))
    upright = bars[1].get_segments()[0]
    assert [y for _, y in upright] == pytest.approx(
        [100 * rows.loc["mdpo", f"descriptions/chair {end}"] for end in ("low", "high")]
    )
    assert "↓" in axes.get_ylabel()


def test_training_curves_are_means_with_the_seeds_as_a_band(reading):
    trainings = [training for training in reading.trainings if training.objective == "dpo"]
    found = training_curves.curve(trainings, "loss")
    first = trainings[0].log["loss"].iloc[0]
    assert found["mean"].iloc[0] == pytest.approx(first + 0.005)
    assert (found["high"] - found["low"]).to_numpy() == pytest.approx(np.full(12, 0.01))
    assert training_curves.curve(trainings, "image") is None


# --- writing


def table(text: str = HOSTILE) -> Table:
    frame = pd.DataFrame(
        {"name": [text, "b"], "value": [0.123456789012345, None], "low": [0.1, None], "high": [0.2, None]}
    )
    columns = [
        Column(text, "name"),
        Column("CHAIR ↓ (%)", "value", "value", "fraction", "lower", low="low", high="high"),
    ]
    return Table("hostile", text, text, frame, columns)


def test_values_are_rounded_with_interval_and_a_gap_is_a_dash():
    rows = write.rows_of(table())
    assert [write.cell(table().columns[1], row) for row in rows] == ["12.3 [10.0, 20.0]", "–"]


def test_csv_reads_back_to_the_same_frame(reading):
    tables = [*ablation.build(reading, FEW), *leaderboard.build(reading, FEW), *breakdown.build(reading, FEW), table()]
    for one in tables:
        back = pd.read_csv(io.StringIO(write.csv(one)), keep_default_na=True)
        assert list(back.columns) == list(one.frame.columns)
        for column in back:
            for found, stored in zip(back[column], one.frame[column], strict=True):
                assert (pd.isna(found) and pd.isna(stored)) or found == stored, (one.name, column)


def test_html_shows_markup_as_text():
    text = write.html_table(table())
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_markdown_keeps_its_columns_whatever_a_name_holds():
    rows = [line for line in write.markdown(table()).splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in rows} == {3}
    assert "<script>" not in write.markdown(table())


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles_with_whatever_a_name_holds(reading, tmp_path):
    tables = [table(), *ablation.build(reading, FEW), *leaderboard.build(reading, FEW), *breakdown.build(reading, FEW)]
    body = "\n\\clearpage\n".join(map(write.latex, tables))
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{booktabs,graphicx}\begin{document}"
    (tmp_path / "t.tex").write_text(head + body + r"\end{document}", "utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-1500:]
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", "t.pdf", "-"], cwd=tmp_path, capture_output=True, text=True).stdout
        assert "<script>alert(1)</script>" in text
        assert "U+4E2D" in text


# --- the command


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
def test_a_kind_is_written_in_the_format_asked_for(folder, tmp_path, form, kind, files):
    done = report(kind, [folder], FEW, [form], tmp_path, "")
    assert [path.suffix for path in done.written] == [f".{form}"] * files
    assert all(path.stat().st_size for path in done.written)


def test_nothing_left_ends_with_exit_code_2(tmp_path):
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "halbench", "report", "all", str(tmp_path / "empty"), "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "holds no run" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "formats", "said"),
    [("ablatoin", [], "did you mean 'ablation'"), ("ablation", ["pdf"], "known: csv, html")],
)
def test_an_unknown_kind_or_format_is_named(folder, tmp_path, kind, formats, said):
    with pytest.raises(InputError, match=said):
        report(kind, [folder], FEW, formats, tmp_path, "")


def test_a_json_of_results_that_is_no_result_is_skipped(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "odd")
    (tmp_path / "odd/results.json").write_text(json.dumps([{"suite": 3}]))
    reading = read_folders([tmp_path])
    assert reading.runs == []
    assert "results.json" in reading.skipped[0]
