"""The gate: verdicts from whole intervals, and companions that a margin binds as well."""

import json

import pytest
from small_runs import description, gate, noisy, resampling, write_run

from halbench.comparing.comparison import Pairing, measure
from halbench.comparing.gating import gated as gated_row
from halbench.comparing.margins import resolve_margins
from halbench.scoring_tools.ratios import ratio_metric
from halbench.types import Decoding, Suite

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


def test_a_run_passes_against_itself_even_without_any_margin(gated):
    result = gated(noisy(), {"chair": 0, "cover": 0, "questions/accuracy": 0})
    assert result.outcome == "pass"
    assert set(verdicts(result).values()) == {"pass", "not gated"}


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
