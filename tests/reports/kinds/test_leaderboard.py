"""Runs, and published results below them."""

from dataclasses import replace

from small_reports import FEW

from reports.kinds import leaderboard
from reports.main_metrics import MainMetric
from reports.run_groups import RunGroup, panels


def test_the_leaderboard_names_the_adapter_and_not_only_the_weights_below_it(reading):
    (panel,) = panels(reading)
    (base,) = panel.groups[0].runs
    for model, source in (
        ({"fingerprint": "w1"}, "measured here, weights w1"),
        ({"fingerprint": "w1", "adapter": "a1"}, "measured here, adapter a1 on weights w1"),
        ({}, "measured here"),
    ):
        run = replace(base, manifest=replace(base.manifest, settings=replace(base.manifest.settings, model=model)))
        assert leaderboard.own_source(RunGroup("x", (run,))) == source
        several = leaderboard.own_source(RunGroup("x", (run, run)))
        assert several == ("measured here, 2 seeds" + (", adapters on weights w1" if "adapter" in model else ""))


def test_published_rows_name_their_source_and_what_other_sources_print():
    metric = MainMetric("generative/chair", "lower", "fraction", "CHAIR", (), "chair", "")
    rows = [row for row in leaderboard.published_rows("amber", [metric]) if row["model"] == "LLaVA-1.5-7B"]
    assert {round(row["generative/chair"], 6) for row in rows} == {0.074, 0.078}
    own = next(row for row in rows if round(row["generative/chair"], 6) == 0.074)
    assert "arXiv:2406.11839v2 table 1" in own["source"]
    assert "elsewhere chair 7.8" in own["source"]
    assert all(row["published"] for row in rows)


def test_a_suite_without_published_results_has_only_our_rows(reading):
    (table,) = leaderboard.build(reading, FEW)
    assert table.italic is None, "nobody published results on scenes"
    assert list(table.frame["model"]) == ["base", "truncated base", "dpo", "mdpo"]
