"""The gate: verdicts from whole intervals, and companions that a margin binds as well."""

import json
from dataclasses import replace

import pytest
from small_runs import description, gate, noisy, question, resampling, write_run

from halbench.comparing.comparison import Pairing, Row, load_run, measure
from halbench.comparing.gating import gate_runs, verdict_of
from halbench.comparing.gating import gated as gated_row
from halbench.comparing.margins import resolve_margins
from halbench.scoring_tools.ratios import ratio_metric
from halbench.types import Decoding, Result, Suite

MADE_UP = ratio_metric("made_up", "hallucinated", "mentions", "lower", companions=("length",))
LENGTH = ratio_metric("length", "words", "texts", "neither", unit="words")


@pytest.fixture
def gated(tmp_path):
    """gated(run scores, margins) -> Gate against the usual baseline; margins as a mapping."""
    write_run(tmp_path, "baseline", noisy())

    def call(run_scores, margins):
        run = write_run(tmp_path, "run", run_scores)
        (tmp_path / "margins.yaml").write_text(json.dumps(margins))
        return gate(run, tmp_path / "baseline", tmp_path / "margins.yaml")

    return call


def verdicts(result):
    return {f"{row.row.group}/{row.row.metric}": row.verdict for row in result.rows}


@pytest.mark.parametrize(("margin", "outcome"), [(0.032, "pass"), (0.03, "inconclusive"), (0, "inconclusive")])
def test_a_run_passes_against_itself_by_a_margin_that_its_images_can_show(gated, margin, outcome):
    # Nothing changed on 120 images: at most 3.84 / (120 + 3.84).
    assert gated(noisy(), {"chair": margin, "cover": margin, "questions/accuracy": margin}).outcome == outcome


def test_two_perfect_runs_of_20_items_are_not_equal_for_certain(tmp_path):
    perfect = [question(number, True) for number in range(20)]
    a, b = (write_run(tmp_path, name, perfect) for name in "ab")
    (tmp_path / "margins.yaml").write_text("accuracy: 0")
    result = gate(b, a, tmp_path / "margins.yaml")
    assert result.outcome == "inconclusive"
    assert result.rows[0].row.low == pytest.approx(-0.161, abs=1e-3)


def test_a_bound_that_equals_the_margin_does_not_pass():
    row = Row("all", "hal", 0, 0, 0.01, 0.0, 3 / 300, 1, "", None, 300, 300, 0, "lower", "fraction")
    assert verdict_of(row, 0.01, falling=False)[0] == "inconclusive"
    assert verdict_of(replace(row, low=0.01, high=0.02), 0.01, falling=False)[0] == "inconclusive"
    assert verdict_of(row, 0.0101, falling=False)[0] == "pass"


def test_a_run_that_is_surely_worse_than_the_margin_is_a_regression(gated):
    result = gated(noisy(chair=0.4), {"chair": 0.05})
    assert (result.outcome, verdicts(result)["descriptions/chair"]) == ("regression", "regression")
    row = result.rows[0]
    assert row.row.low > 0.05
    assert "worse by at least" in row.reason
    assert "5.0 points tolerated" in row.reason


def test_a_run_that_is_surely_worse_but_within_the_margin_passes(gated):
    result = gated(noisy(chair=0.4), {"chair": 0.5, "cover": 0.5})
    assert result.rows[0].row.low > 0
    assert result.outcome == "pass"


def test_a_run_that_may_be_worse_than_the_margin_or_not_is_inconclusive(gated):
    result = gated(noisy(seed=1), {"chair": 0.001, "cover": 0.5})
    assert result.outcome == "inconclusive"
    assert "with 120 images the smallest detectable difference is" in result.rows[0].reason


def test_a_better_run_passes(gated):
    assert gated(noisy(chair=0.05), {"chair": 0, "cover": 0.5}).outcome == "pass"


def test_worse_means_lower_where_higher_is_better(gated):
    assert verdicts(gated(noisy(cover=0.2), {"cover": 0.1}))["descriptions/cover"] == "regression"


def test_better_where_higher_is_better_passes(gated):
    assert verdicts(gated(noisy(cover=0.8), {"cover": 0.1}))["descriptions/cover"] == "pass"


@pytest.mark.parametrize("words", [10, 60])
def test_length_is_gated_on_both_sides(gated, words):
    result = gated(noisy(words=words), {"length": 5})
    assert result.outcome == "regression"
    assert "different by at least" in result.rows[0].reason


def test_a_length_within_its_margin_passes(gated):
    assert gated(noisy(seed=1), {"length": 5}).outcome == "pass"


def test_one_regression_outweighs_what_is_inconclusive(gated):
    result = gated(noisy(seed=1, words=60), {"length": 5, "chair": 0.001, "cover": 0.5})
    assert set(verdicts(result).values()) >= {"regression", "inconclusive"}
    assert result.outcome == "regression"


def test_saying_less_does_not_pass_a_margin_on_chair(gated):
    silent = [description(i, 0, 0, 2, mentions=1) for i in range(120)] + noisy()[120:]
    result = gated(silent, {"chair": 0.01})
    assert verdicts(result) == {
        "descriptions/chair": "pass",
        "descriptions/cover": "regression",
        "descriptions/length": "not gated",
    }
    assert result.outcome == "regression"
    chair, cover, length = result.rows
    assert (chair.margin, chair.shipped, chair.bound_by) == (0.01, False, None)
    assert (cover.margin, cover.shipped, cover.bound_by) == (0.02, True, "chair")
    assert "gated as a companion of chair" in cover.reason
    assert (length.margin, length.reason) == (None, "companion of chair")


def test_a_margin_on_accuracy_gates_accuracy_alone(gated):
    assert set(verdicts(gated(noisy(), {"accuracy": 0.1}))) == {"questions/accuracy", "all/accuracy"}


def test_a_value_of_0_by_0_is_inconclusive(gated):
    mute = [description(i, 0, 3, 30, mentions=0) for i in range(120)] + noisy()[120:]
    result = gated(mute, {"chair": 0.5, "cover": 0.5})
    assert result.outcome == "inconclusive"
    assert "undefined" in result.rows[0].reason


def test_without_hallucinations_on_either_side_the_number_of_images_decides(gated, tmp_path):
    def clean(n, mentions):
        return [description(i, 0, 3, mentions=mentions) for i in range(n)]

    outcomes = []
    for n in (20, 400):
        baseline, run = write_run(tmp_path, f"a{n}", clean(n, 10)), write_run(tmp_path, f"b{n}", clean(n, 8))
        (tmp_path / "m.yaml").write_text("chair: 0.01")
        outcomes.append(gate(run, baseline, tmp_path / "m.yaml").outcome)
    assert outcomes == ["inconclusive", "pass"]


@pytest.mark.parametrize(("words", "verdict"), [(20, "regression"), (30, "pass"), (60, "pass")])
def test_a_length_that_a_margin_binds_may_grow_but_not_fall(words, verdict):
    suite = Suite("toy", "1", "Toy", object, Decoding(8), (MADE_UP, LENGTH), {"all": ("descriptions",)}, None, None)
    a, b = (tuple(noisy(seed, words=length)[:120]) for seed, length in ((0, 30), (1, words)))
    runs = Pairing(suite, "s", a, b, ())
    margins = resolve_margins({"made_up": 0.5}, runs)
    length = next(row for row in measure(runs, runs.candidates(), resampling()) if row.metric == "length")
    result = gated_row(length, margins["all", "length"], suite)
    assert result.verdict == verdict
    assert result.margin == pytest.approx(3.0, abs=0.1)
    assert "gated as a companion of made_up" in result.reason


@pytest.mark.parametrize(("worst", "outcome"), [(None, "inconclusive"), (0.21, "pass"), (0.5, "inconclusive")])
def test_a_run_does_not_pass_by_lacking_the_items_that_it_answers_worst(tmp_path, worst, outcome):
    baseline, run = (load_run(write_run(tmp_path, name, noisy())) for name in ("baseline", "run"))
    first = next(iter(run.scores))
    row = Result(
        "tiny",
        "descriptions",
        "chair",
        0.2,
        None,
        None,
        119,
        1.0,
        "lower",
        "fraction",
        None,
        "",
        "CHAIR",
        True,
        (),
        False,
        None,
        "",
        worst,
    )
    scores = {**run.scores, first: replace(run.scores[first], counts={}, state="error")}
    lacking = replace(run, scores=scores, results=[row])

    def verdict(tested, reference):
        result = gate_runs(tested, reference, {"chair": 0.2}, resampling(), str(tmp_path / "tiny.py"))
        return next(row.verdict for row in result.rows if row.row.metric == "chair")

    assert verdict(run, baseline) == "pass"
    assert verdict(lacking, baseline) == outcome
    assert verdict(lacking, lacking) == "pass", "the baseline lacks it too"
