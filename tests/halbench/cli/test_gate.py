"""halbench gate: exit codes, the table, and the JSON object."""

import json
from dataclasses import replace

import pytest
from judged_runs import judged_run
from small_runs import noisy, write_run

N_RESAMPLES = 1000


@pytest.fixture
def command(tmp_path, halbench):
    write_run(tmp_path, "baseline", noisy())

    def call(run_scores, margins="chair: 0.05\n", *options, **manifest):
        write_run(tmp_path, "run", run_scores, **manifest)
        (tmp_path / "m.yaml").write_text(margins)
        return halbench(
            "gate",
            "run",
            "--suite",
            "tiny.py",
            "--baseline",
            "baseline",
            "--margins",
            "m.yaml",
            "--resamples",
            N_RESAMPLES,
            *options,
        )

    return call


def test_a_pass_exits_with_0(command):
    result = command(noisy(), "chair: 0.05\ncover: 0.05\n")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("gate: pass\n")


def test_a_regression_exits_with_1_and_says_why_in_the_metric_s_line(command):
    result = command(noisy(chair=0.4))
    assert result.returncode == 1
    line = next(line for line in result.stdout.splitlines() if "chair ↓" in line)
    assert line.split()[0] == "regression"
    assert "worse by at least" in line
    assert result.stdout.endswith("gate: regression\n")


def test_an_inconclusive_gate_exits_with_3(command):
    result = command(noisy(seed=1), "chair: 0.001\n")
    assert result.returncode == 3
    assert result.stdout.endswith("gate: inconclusive\n")


@pytest.mark.parametrize(
    ("margins", "manifest"),
    [("chiar: 0.1\n", {}), ("chair: 0.1\n", {"nltk": "3.10"})],
    ids=["unknown metric", "another signature"],
)
def test_wrong_input_exits_with_2_in_one_line(command, margins, manifest):
    result = command(noisy(), margins, **manifest)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("halbench: ")
    assert result.stderr.count("\n") == 1


def test_a_missing_margin_file_exits_with_2(tmp_path, halbench):
    write_run(tmp_path, "a", noisy())
    result = halbench("gate", "a", "--suite", "tiny.py", "--baseline", "a", "--margins", "none.yaml")
    assert result.returncode == 2
    assert "none.yaml: cannot be read" in result.stderr


def test_json_holds_verdict_margin_and_reason_of_each_row(command):
    result = command(noisy(chair=0.4), "chair: 0.05\n", "--json")
    assert result.returncode == 1
    output = json.loads(result.stdout)
    assert (output["outcome"], output["run"], output["baseline"]) == ("regression", "run", "baseline")
    chair, cover = output["rows"][:2]
    assert (chair["metric"], chair["margin"], chair["verdict"]) == ("chair", 0.05, "regression")
    assert (cover["metric"], cover["margin"], cover["shipped"], cover["bound_by"]) == ("cover", 0.02, True, "chair")


def test_without_margins_the_suite_s_own_are_used_and_marked(tmp_path, halbench):
    write_run(tmp_path, "a", noisy(n=500))
    result = halbench("gate", "a", "--baseline", "a", "--suite", "tiny.py", "--resamples", N_RESAMPLES)
    assert (result.returncode, result.stderr) == (0, "")
    margins = {line.split()[2]: line for line in result.stdout.splitlines() if " * " in line}
    assert "1.0 points *" in margins["chair"]
    assert "2.0 points *" in margins["cover"]
    assert "* default margin, the suite's or else halbench's; set yours with --margins FILE" in result.stdout


def test_items_that_failed_in_one_run_are_counted(command):
    failed = noisy()
    failed[0] = replace(failed[0], counts={}, state="error")
    assert "Compared on the 239 of 240 items that both runs have; " in command(failed).stdout


def test_a_real_run_that_lacks_one_verdict_is_gated_on_the_other_items(tmp_path, halbench):
    for name, unreadable in (("a", 0), ("b", 1)):
        judged_run(tmp_path / name, unreadable)
    (tmp_path / "m.yaml").write_text("all/score: 2\n")
    result = halbench("gate", "b", "--baseline", "a", "--margins", "m.yaml", "--resamples", N_RESAMPLES)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Compared on the 23 of 24 items that both runs have" in result.stdout


@pytest.mark.parametrize("chair", [0.2, 0.4])
def test_an_incomplete_run_does_not_pass_whatever_its_numbers(command, chair):
    failed = [
        replace(score, counts={}, state="error") if i < 9 else score for i, score in enumerate(noisy(chair=chair))
    ]
    result = command(failed, "chair: 0.05\ncover: 0.05\n")
    assert result.returncode == 2
    assert (
        result.stderr == "halbench: INCOMPLETE: run is incomplete: 231 of 240 items scored (9 failed in generation)\n"
    )
    assert result.stdout.endswith("gate: incomplete\n")
    verdicts = {line.split()[0] for line in result.stdout.splitlines() if " descriptions " in line}
    assert verdicts == {"incomplete", *(["regression"] if chair == 0.4 else []), "not"}
