import json
from dataclasses import replace

import numpy as np
import pytest
from small_runs import description, gate, question, write_run

from halbench.errors import InputError

FOLDS = 1000


def scores(seed=0, chair=0.2, cover=0.5, words=30, right=0.8, n=120):
    """Noisy descriptions and questions with these expected values."""
    rng = np.random.default_rng(seed)
    return [
        description(i, int(rng.binomial(10, chair)), int(rng.binomial(6, cover)), int(rng.poisson(words)))
        for i in range(n)
    ] + [question(i, bool(rng.random() < right)) for i in range(n)]


@pytest.fixture
def gated(tmp_path):
    """gated(run scores, margins) -> Gate against the usual baseline; margins as a mapping."""
    write_run(tmp_path, "baseline", scores())

    def call(run_scores, margins):
        run = write_run(tmp_path, "run", run_scores)
        (tmp_path / "margins.yaml").write_text(json.dumps(margins))
        return gate(run, tmp_path / "baseline", tmp_path / "margins.yaml", folds=FOLDS)

    return call


def verdicts(result):
    return {f"{row.row.group}/{row.row.metric}": row.verdict for row in result.rows}


def test_a_run_passes_against_itself_even_without_any_margin(gated):
    result = gated(scores(), {"chair": 0, "cover": 0, "questions/accuracy": 0})
    assert result.outcome == "pass"
    assert set(verdicts(result).values()) == {"pass", "not gated"}


def test_a_run_that_is_surely_worse_than_the_margin_is_a_regression(gated):
    result = gated(scores(chair=0.4), {"chair": 0.05})
    assert (result.outcome, verdicts(result)["descriptions/chair"]) == ("regression", "regression")
    row = result.rows[0]
    assert row.row.low > 0.05
    assert "worse by at least" in row.reason
    assert "5.0 points tolerated" in row.reason


def test_a_run_that_is_surely_worse_but_within_the_margin_passes(gated):
    result = gated(scores(chair=0.4), {"chair": 0.5})
    assert result.rows[0].row.low > 0
    assert result.outcome == "pass"


def test_a_run_that_may_be_worse_than_the_margin_or_not_is_inconclusive(gated):
    result = gated(scores(seed=1), {"chair": 0.001})
    assert result.outcome == "inconclusive"
    assert "120 images show a difference of" in result.rows[0].reason


def test_a_better_run_passes(gated):
    assert gated(scores(chair=0.05), {"chair": 0}).outcome == "pass"


def test_worse_means_lower_where_higher_is_better(gated):
    assert verdicts(gated(scores(cover=0.2), {"cover": 0.1}))["descriptions/cover"] == "regression"


def test_better_where_higher_is_better_passes(gated):
    assert verdicts(gated(scores(cover=0.8), {"cover": 0.1}))["descriptions/cover"] == "pass"


@pytest.mark.parametrize("words", [10, 60])
def test_length_is_gated_on_both_sides(gated, words):
    result = gated(scores(words=words), {"length": 5})
    assert result.outcome == "regression"
    assert "different by at least" in result.rows[0].reason


def test_a_length_within_its_margin_passes(gated):
    assert gated(scores(seed=1), {"length": 5}).outcome == "pass"


def test_one_regression_outweighs_what_is_inconclusive(gated):
    result = gated(scores(seed=1, words=60), {"length": 5, "chair": 0.001})
    assert set(verdicts(result).values()) >= {"regression", "inconclusive"}
    assert result.outcome == "regression"


def test_cover_and_length_stand_beside_chair_so_that_saying_less_does_not_win(gated):
    silent = [description(i, 0, 0, 2, mentions=1) for i in range(120)] + scores()[120:]
    result = gated(silent, {"chair": 0.01})
    assert verdicts(result) == {
        "descriptions/chair": "pass",
        "descriptions/cover": "not gated",
        "descriptions/length": "not gated",
    }
    cover = result.rows[1]
    assert cover.row.difference < -0.4
    assert "saying less" in cover.reason


def test_nothing_stands_beside_metrics_of_another_kind(gated):
    assert set(verdicts(gated(scores(), {"accuracy": 0.1}))) == {"questions/accuracy", "all/accuracy"}


def test_a_margin_with_a_group_goes_before_one_without(gated):
    result = gated(scores(), {"questions/accuracy": 0.2, "accuracy": 0.1})
    assert {row.row.group: row.margin for row in result.rows} == {"questions": 0.2, "all": 0.1}


def test_a_value_of_0_by_0_is_inconclusive(gated):
    mute = [description(i, 0, 3, 30, mentions=0) for i in range(120)] + scores()[120:]
    result = gated(mute, {"chair": 0.5})
    assert result.outcome == "inconclusive"
    assert "undefined" in result.rows[0].reason


def test_without_hallucinations_on_either_side_the_number_of_images_decides(gated, tmp_path):
    def clean(n, mentions):
        return [description(i, 0, 3, mentions=mentions) for i in range(n)]

    outcomes = []
    for n in (20, 400):
        baseline, run = write_run(tmp_path, f"a{n}", clean(n, 10)), write_run(tmp_path, f"b{n}", clean(n, 8))
        (tmp_path / "m.yaml").write_text("chair: 0.01")
        outcomes.append(gate(run, baseline, tmp_path / "m.yaml", folds=FOLDS).outcome)
    assert outcomes == ["inconclusive", "pass"]


# Margin files


def test_margins_may_stand_under_the_names_of_suites(gated):
    result = gated(scores(), {"tiny": {"descriptions/cover": 0.1}, "amber": {"chair": 0.01}})
    assert {(row.row.metric, row.margin) for row in result.rows} == {("cover", 0.1)}


@pytest.mark.parametrize(
    ("margins", "complaint"),
    [
        ({"chiar": 0.1}, "unknown metric 'chiar' of suite 'tiny'; did you mean 'chair'?"),
        ({"questions/chair": 0.1}, "unknown metric 'questions/chair' of suite 'tiny'; did you mean"),
        ({"tini": {"chair": 0.1}}, "no margins for suite 'tiny'; did you mean 'tini'?"),
        ({"tiny": {}}, "expected margins such as 'chair: 0.01'"),
        ({"tiny": 0.1, "amber": {}}, "expected margins such as 'chair: 0.01'"),
        ({}, "expected margins such as 'chair: 0.01'"),
        ([0.1], "found list"),
        ({"chair": "1%"}, "must be a number from 0 up, written like 0.01; found '1%'"),
        ({"chair": -0.1}, "must be a number from 0 up"),
        ({"chair": True}, "must be a number from 0 up"),
        ({"chair": None}, "must be a number from 0 up"),
        ({"chair": 1}, "it is a fraction, 0.01 is one point"),
    ],
)
def test_margins_that_mean_nothing_are_refused(gated, margins, complaint):
    with pytest.raises(InputError) as error:
        gated(scores(), margins)
    assert "margins.yaml: " in str(error.value)
    assert complaint in str(error.value)


def test_a_margin_for_what_the_runs_do_not_hold_is_refused(tmp_path):
    a, b = (write_run(tmp_path, name, scores()[:120]) for name in ("a", "b"))
    (tmp_path / "m.yaml").write_text("questions/accuracy: 0.1\nchair: 0.1\n")
    with pytest.raises(InputError, match="'questions/accuracy', but these runs hold no scored response for it"):
        gate(b, a, tmp_path / "m.yaml", folds=FOLDS)


def test_a_margin_file_that_is_no_yaml_is_refused_with_its_line(tmp_path):
    a = write_run(tmp_path, "a", scores())
    (tmp_path / "m.yaml").write_text("chair: 0.1\ncover: [\n")
    with pytest.raises(InputError, match=r"neither YAML nor JSON .*line 3"):
        gate(a, a, tmp_path / "m.yaml", folds=FOLDS)


# The command


@pytest.fixture
def command(tmp_path, halbench):
    write_run(tmp_path, "baseline", scores())

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
            FOLDS,
            *options,
        )

    return call


def test_a_pass_exits_with_0(command):
    found = command(scores())
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.endswith("gate: pass\n")


def test_a_regression_exits_with_1_and_says_why_in_the_metric_s_line(command):
    found = command(scores(chair=0.4))
    assert found.returncode == 1
    (line,) = [line for line in found.stdout.splitlines() if "chair" in line]
    assert line.split()[0] == "regression"
    assert "worse by at least" in line
    assert found.stdout.endswith("gate: regression\n")


def test_an_inconclusive_gate_exits_with_3(command):
    found = command(scores(seed=1), "chair: 0.001\n")
    assert found.returncode == 3
    assert found.stdout.endswith("gate: inconclusive\n")


@pytest.mark.parametrize(
    ("margins", "manifest"),
    [("chiar: 0.1\n", {}), ("chair: 0.1\n", {"nltk": "3.10"}), ("chair: 0.1\n", {"status": "incomplete"})],
    ids=["unknown metric", "another signature", "incomplete run"],
)
def test_wrong_input_exits_with_2_in_one_line(command, margins, manifest):
    found = command(scores(), margins, **manifest)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("halbench: ")
    assert found.stderr.count("\n") == 1


def test_a_missing_margin_file_exits_with_2(tmp_path, halbench):
    write_run(tmp_path, "a", scores())
    found = halbench("gate", "a", "--suite", "tiny.py", "--baseline", "a", "--margins", "none.yaml")
    assert found.returncode == 2
    assert "none.yaml: cannot be read" in found.stderr


def test_json_holds_verdict_margin_and_reason_of_each_row(command):
    found = command(scores(chair=0.4), "chair: 0.05\n", "--json")
    assert found.returncode == 1
    told = json.loads(found.stdout)
    assert (told["outcome"], told["run"], told["baseline"]) == ("regression", "run", "baseline")
    chair, cover = told["rows"][:2]
    assert (chair["metric"], chair["margin"], chair["verdict"]) == ("chair", 0.05, "regression")
    assert (cover["metric"], cover["margin"], cover["verdict"]) == ("cover", None, "not gated")


def test_items_that_failed_in_one_run_are_told(command):
    failed = scores()
    failed[0] = replace(failed[0], counts={}, state="error")
    assert "239 items scored in both runs, 1 left out" in command(failed).stdout
