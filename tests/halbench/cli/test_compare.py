"""halbench compare: the table, the JSON object, and how it refuses."""

import json
from dataclasses import replace

from judged_runs import judged_run
from small_runs import bad, good, write_run

N_RESAMPLES = 1000


def test_the_table_shows_values_differences_arrows_and_the_signature(tmp_path, halbench):
    write_run(tmp_path, "a", good())
    write_run(tmp_path, "b", bad())
    result = halbench("compare", "a", "b", "--suite", "tiny.py", "--resamples", N_RESAMPLES)
    assert (result.returncode, result.stderr) == (0, "")
    (line,) = [line for line in result.stdout.splitlines() if "chair" in line]
    assert line.split()[:5] == ["descriptions", "chair", "↓", "15.0%", "35.0%"]
    assert "+20.0" in line
    assert line.rstrip().endswith("worse")
    assert "120 items scored in both runs, 0 left out" in result.stdout
    assert "suite:tiny|nltk:3.9.1" in result.stdout


def test_json_is_one_object_with_flat_unrounded_rows(tmp_path, halbench):
    write_run(tmp_path, "a", good())
    write_run(tmp_path, "b", bad())
    result = halbench(
        "compare", "a", "b", "--suite", "tiny.py", "--resamples", N_RESAMPLES, "--level", 0.9, "--seed", 5, "--json"
    )
    output = json.loads(result.stdout)
    assert {key: output[key] for key in ("a", "b", "suite", "level", "resamples", "seed", "left_out")} == {
        "a": "a",
        "b": "b",
        "suite": "tiny",
        "level": 0.9,
        "resamples": N_RESAMPLES,
        "seed": 5,
        "left_out": 0,
    }
    row = output["rows"][0]
    assert (row["group"], row["metric"], row["better"], row["unit"]) == ("descriptions", "chair", "lower", "fraction")
    assert row["b"] == 0.35
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["p"] <= row["p_holm"]


def test_an_incomplete_run_is_compared_with_exit_code_2_and_named(tmp_path, halbench):
    write_run(tmp_path, "a", good())
    write_run(tmp_path, "b", [replace(s, counts={}, state="missing") if i < 40 else s for i, s in enumerate(bad())])
    for options in ([], ["--json"]):
        result = halbench("compare", "a", "b", "--suite", "tiny.py", "--resamples", N_RESAMPLES, *options)
        assert result.returncode == 2
        assert (
            result.stderr == "halbench: INCOMPLETE: b is incomplete: 80 of 120 items scored (40 without a response)\n"
        )
        assert "Compared on the 80 of 120 items that both runs have" in result.stdout
    assert {row["verdict"] for row in json.loads(result.stdout)["rows"]} == {"incomplete"}


def test_a_real_run_that_lacks_one_verdict_is_compared_on_the_other_items(tmp_path, halbench):
    for name, unreadable in (("a", 0), ("b", 1)):
        judged_run(tmp_path / name, unreadable)
    result = halbench("compare", "a", "b", "--resamples", N_RESAMPLES)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Compared on the 23 of 24 items that both runs have; " in result.stdout
    assert "not significant" in result.stdout


def test_the_command_refuses_in_one_line_with_exit_code_2(tmp_path, halbench):
    write_run(tmp_path, "a", good())
    write_run(tmp_path, "b", bad(), nltk="3.10")
    result = halbench("compare", "a", "b", "--suite", "tiny.py")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("halbench: a (A) and b (B) cannot be compared, because their signatures differ")
    assert result.stderr.count("\n") == 1
