"""Margins: those of a file, those that ship with a suite, and the companions that they bind."""

import json

import pytest
from small_runs import gate, noisy, write_run

from halbench.comparing.comparison import Pairing
from halbench.comparing.margins import Margin, resolve_margins
from halbench.errors import InputError
from halbench.scoring_tools.ratios import ratio_metric
from halbench.suites import amber
from halbench.types import Decoding, Metric, Score, Suite


@pytest.fixture
def gated(tmp_path):
    """gated(margins) -> Gate of a run against itself; margins as a mapping."""
    run = write_run(tmp_path, "run", noisy())

    def call(margins):
        (tmp_path / "margins.yaml").write_text(json.dumps(margins))
        return gate(run, run, tmp_path / "margins.yaml")

    return call


def test_margins_may_stand_under_the_names_of_suites(gated):
    result = gated({"tiny": {"descriptions/cover": 0.1}, "amber": {"chair": 0.01}})
    assert {(row.row.metric, row.margin) for row in result.rows} == {("cover", 0.1)}


def test_a_margin_with_a_group_goes_before_one_without(gated):
    result = gated({"questions/accuracy": 0.2, "accuracy": 0.1})
    assert {row.row.group: row.margin for row in result.rows} == {"questions": 0.2, "all": 0.1}


@pytest.mark.parametrize(
    ("margins", "complaint"),
    [
        ({"chiar": 0.1}, "unknown metric 'chiar' of suite 'tiny'; did you mean 'chair'?"),
        ({"questions/chair": 0.1}, "unknown metric 'questions/chair' of suite 'tiny'; did you mean"),
        ({"tini": {"chair": 0.1}}, "no margins for suite 'tiny'; did you mean 'tini'?"),
        ({"tiny": {}}, "expected margins such as 'chair: 0.01'"),
        ({"tiny": {"chair": 0.1}, "chair": 0.2}, "expected margins or margins by suite, found both: tiny, chair"),
        ({"chair": 10**400}, "must be a number from 0 up"),
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
        gated(margins)
    assert "margins.yaml: " in str(error.value)
    assert complaint in str(error.value)


def test_a_margin_for_what_the_runs_do_not_hold_is_refused(tmp_path):
    a, b = (write_run(tmp_path, name, noisy()[:120]) for name in ("a", "b"))
    (tmp_path / "m.yaml").write_text("questions/accuracy: 0.1\nchair: 0.1\n")
    with pytest.raises(InputError, match="'questions/accuracy', but these runs have no scored responses for it"):
        gate(b, a, tmp_path / "m.yaml")


def test_a_margin_file_that_is_no_yaml_is_refused_with_its_line(tmp_path):
    a = write_run(tmp_path, "a", noisy())
    (tmp_path / "m.yaml").write_text("chair: 0.1\ncover: [\n")
    with pytest.raises(InputError, match=r"cannot be read as YAML .*line 3"):
        gate(a, a, tmp_path / "m.yaml")


# Shipped margins and companions

ONE = ("all",)
COVERAGE = ratio_metric("coverage", "named", "slots", "higher", margin=0.03)
LENGTH = ratio_metric("length", "words", "texts", "neither", unit="words")


def pairing(*metrics: Metric, groups: dict[str, tuple[str, ...]] | None = None) -> Pairing:
    """Two equal runs of a suite with these metrics, one item in each of its groups that holds its counts."""
    groups = groups or {"all": ONE}
    suite = Suite("toy", "1", "Toy", object, Decoding(8), metrics, groups, load=None, match=None)
    names = ("wrong", "mentions", "named", "slots", "words", "texts", "rating", "right")
    leaves = {leaf for members in groups.values() for leaf in members}
    scores = tuple(Score(leaf, leaf, leaf, dict.fromkeys(names, 1.0)) for leaf in sorted(leaves))
    return Pairing(suite, "s", scores, scores, ())


def hallucination(*companions: str, **fields: object) -> Metric:
    return ratio_metric("made_up", "wrong", "mentions", "lower", companions=companions, **fields)


def test_without_margins_every_headline_metric_is_gated_by_the_suite_s_own():
    rating = ratio_metric("score", "rating", "texts", "higher", unit="rating", main=ONE)
    accuracy = ratio_metric("accuracy", "right", "texts", "higher")
    margins = resolve_margins(
        None, pairing(hallucination("coverage", main=ONE, margin=0.01), COVERAGE, rating, accuracy)
    )
    assert margins == {
        ("all", "made_up"): Margin(0.01, explicit=False),
        ("all", "score"): Margin(0.3, explicit=False),
        ("all", "coverage"): Margin(0.03, explicit=False, bound_by="made_up"),
    }


def test_a_margin_binds_the_companion_that_has_a_direction_and_leaves_the_length_free():
    margins = resolve_margins({"made_up": 0.01}, pairing(hallucination("coverage", "length"), COVERAGE, LENGTH))
    assert margins == {
        ("all", "made_up"): Margin(0.01, explicit=True),
        ("all", "coverage"): Margin(0.03, explicit=False, bound_by="made_up"),
    }


def test_a_length_is_bound_against_falling_where_it_is_the_only_companion():
    margins = resolve_margins({"made_up": 0.01}, pairing(hallucination("length"), COVERAGE, LENGTH))
    assert margins["all", "length"] == Margin(None, explicit=False, bound_by="made_up", falling=True)
    assert ("all", "coverage") not in margins


def test_a_companion_that_saying_less_improves_as_well_does_not_free_the_length():
    hal = ratio_metric("hal", "wrong", "texts", "lower", companions=("made_up", "length"))
    margins = resolve_margins({"made_up": 0.01}, pairing(hallucination("hal", "length"), hal, LENGTH))
    assert set(margins) == {("all", "made_up"), ("all", "hal"), ("all", "length")}
    assert margins["all", "length"].falling


def test_an_explicit_margin_on_a_companion_wins():
    runs = pairing(hallucination("coverage"), COVERAGE)
    margins = resolve_margins({"made_up": 0.01, "all/coverage": 0.2}, runs)
    assert margins["all", "coverage"] == Margin(0.2, explicit=True)


def test_companions_of_companions_are_bound_too():
    precision = ratio_metric("precision", "right", "mentions", "higher", companions=("coverage",))
    margins = resolve_margins({"made_up": 0.01}, pairing(hallucination("precision"), precision, COVERAGE))
    assert margins["all", "coverage"].bound_by == "precision"


def test_a_companion_may_be_in_another_group():
    parts = {"text": ("text",), "questions": ("questions",), "both": ("text", "questions")}
    overall = ratio_metric("overall", "right", "texts", "higher", groups=("both",), companions=("text/coverage",))
    coverage = ratio_metric("coverage", "named", "slots", "higher", groups=("text",))
    margins = resolve_margins({"overall": 0.01}, pairing(overall, coverage, groups=parts))
    assert list(margins) == [("both", "overall"), ("text", "coverage")]


def test_a_margin_on_the_amber_score_binds_the_cover_of_the_descriptions():
    question = dict.fromkeys(("questions", "correct", "truth_positive", "answered_positive", "correct_positive"), 1.0)
    text = dict.fromkeys(("nouns", "nouns_hallucinated", "truth_slots", "truth_covered", "descriptions", "words"), 1.0)
    scores = tuple(
        Score(group, group, group, text if group == "generative" else question) for group in amber.SUITE.groups["all"]
    )
    margins = resolve_margins({"amber_score": 0.01}, Pairing(amber.SUITE, "s", scores, scores, ()))
    assert margins["generative", "cover"] == Margin(0.02, explicit=False, bound_by="amber_score")
    assert ("generative", "length") not in margins


def test_a_companion_that_the_runs_do_not_hold_is_an_error():
    coverage = ratio_metric("coverage", "unknown", "slots", "higher")
    with pytest.raises(
        InputError,
        match=r"a margin on all/made_up also applies to its companion all/coverage, but .* no scored responses for all/coverage",
    ):
        resolve_margins({"made_up": 0.01}, pairing(hallucination("coverage"), coverage))


@pytest.mark.parametrize("metrics", [(COVERAGE,), (ratio_metric("length", "words", "texts", "neither", main=ONE),)])
def test_a_suite_that_has_nothing_to_gate_asks_for_margins(metrics):
    with pytest.raises(InputError, match="pass margins with --margins FILE"):
        resolve_margins(None, pairing(*metrics))
