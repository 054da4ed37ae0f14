"""What a suite must keep to: a metric that a model improves by saying less names a companion, or the suite is refused."""

from dataclasses import replace
from pathlib import Path

import own_suite
import pytest
from own_suite import COVERAGE, MADE_UP, refused
from toy_suite import SUITE, TASK

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.evaluation.scoring import score_responses
from halbench.evaluation.suite_contract import (
    check_items,
    check_suite,
    matched_ids,
    with_joint_counts,
)
from halbench.evaluation.suites import load_suite, open_task
from halbench.files.records import as_json
from halbench.plugins import names
from halbench.scoring_tools.ratios import ratio_metric
from halbench.suites import amber
from halbench.types import Item, Response, ResponseRow, Score, Task

BUILT_IN = names("halbench.suites")


# Declarations


def test_a_metric_where_lower_is_better_must_state_its_companions(tmp_path):
    message = refused(tmp_path, 'ratio_metric("made_up", "bad", "words", "lower")', COVERAGE)
    assert "own.py: metric 'made_up': lower is better" in message
    assert 'companions=("coverage",)' in message


@pytest.mark.parametrize(
    ("metrics", "complaint"),
    [
        ((MADE_UP,), "metric 'made_up' names the companion 'all/coverage', which the suite does not have"),
        ((MADE_UP.replace('"coverage"', '"text/coverage"'), COVERAGE), "names the companion 'text/coverage'"),
        ((MADE_UP.replace('"coverage"', '"made_up"'), COVERAGE), "names the companion 'all/made_up'"),
        ((COVERAGE, COVERAGE), "two metrics are called 'coverage'"),
        ((COVERAGE.replace('"higher"', '"higher", groups=("text",)'),), "is in group 'text', but the suite has all"),
        ((COVERAGE.replace('"higher"', '"higher", main=("text",)'),), "is in group 'text', but the suite has all"),
        (('"coverage"',), "metrics: expected Metric, found str"),
    ],
    ids=["no such companion", "no such group of a companion", "its own companion", "one name twice", "no such group",
         "no such main group", "no metric"],
)  # fmt: skip
def test_declarations_that_contradict_each_other_are_refused(tmp_path, metrics, complaint):
    assert complaint in refused(tmp_path, *metrics)


def test_a_main_group_must_be_among_the_groups_of_the_metric():
    metric = ratio_metric("cover", "a", "b", "higher", groups=("generative",), main=("all",))
    with pytest.raises(InputError, match="main must be among its groups generative"):
        check_suite(replace(amber.SUITE, metrics=(metric,)), "amber")


def test_options_must_be_a_dataclass():
    with pytest.raises(InputError, match="options must be a dataclass"):
        check_suite(SUITE, "toy.py")


# Items and scores


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        ([Item("1", (), "?", None, "all"), Item("1", (), "?", None, "all")], "two items have the id '1'"),
        ([Item("1", (), "?", None, "hard")], "item '1' is of group 'hard', which is in none of the suite's groups"),
        (["1"], "items: expected Item, found str"),
    ],
)
def test_items_that_cannot_be_reported_are_refused(items, complaint):
    with pytest.raises(InputError, match=complaint):
        check_items(SUITE, items)


@pytest.mark.parametrize(
    "joint",
    [
        lambda scores: scores[1:],
        lambda scores: scores[::-1],
        lambda scores: [replace(score, state="scored") for score in scores],
        lambda scores: [replace(score, group="other") for score in scores],
    ],
    ids=["one lost", "another order", "another state", "another group"],
)
def test_joint_counts_may_not_lose_or_change_a_score(joint):
    scores = [Score("1", "1", "all", {}, state="missing"), Score("2", "2", "all", {"a": 1})]
    with pytest.raises(InputError, match="expected the 2 scores that it got, in their order"):
        with_joint_counts(Task(TASK.items, TASK.score, {}, joint=joint), scores)


def test_a_task_of_another_type_is_refused(tmp_path):
    path = own_suite.write(tmp_path, MADE_UP, COVERAGE)
    path.write_text(path.read_text().replace("return Task(", "return list(").replace(", score, {})", ")"))
    with pytest.raises(InputError, match=r"suite own: load\(\): expected Task, found list"):
        open_task(load_suite(str(path)), Data(tmp_path), None)


def test_a_suite_file_that_holds_something_else_is_refused(tmp_path):
    for source, complaint in (("", "does not define SUITE"), ("SUITE = 3", "SUITE: expected Suite, found int")):
        (Path(tmp_path) / "mine.py").write_text(source)
        with pytest.raises(InputError, match=complaint):
            load_suite(str(tmp_path / "mine.py"))


# Mistakes of a suite's author, each one line

METRIC = 'Metric("made_up", lambda c: c["bad"] / c["texts"], "neither"{})'
DECLARATIONS = {
    "another direction": (', better="less"', "field 'better' of Metric cannot be 'less'"),
    "another unit": (', unit="percent"', "field 'unit' of Metric cannot be 'percent'"),
    "a label that is a number": (", label=3", "field 'label' of Metric cannot be 3"),
    "a margin that is text": (', margin="0.01"', "field 'margin' of Metric cannot be '0.01'"),
    "a margin of 200 points": (", margin=2", "margin: expected a number from 0 up"),
    "a negative margin": (", margin=-0.5", "margin: expected a number from 0 up"),
    "an undefined margin": (", margin=float('nan')", "margin: expected a number from 0 up"),
    "another ratio": (
        ', ratio=("texts", "words")',
        "its value uses the count 'bad', but ratio names only texts and words",
    ),
    "the ratio the other way round": (', ratio=("texts", "bad")', "its value is not texts / bad, which it declares"),
    "a main share of unread": (', unread=True, main=("all",)', "a share of unread answers cannot be a main metric"),
    "a formula that is text": (', value="bad"', "field 'value' of Metric cannot be 'bad'"),
}


@pytest.mark.parametrize("mistake", DECLARATIONS)
def test_a_metric_with_a_wrong_field_is_refused(tmp_path, mistake):
    field, complaint = DECLARATIONS[mistake]
    given = METRIC.replace('"neither"', "") if "better=" in field else METRIC
    given = given.replace('lambda c: c["bad"] / c["texts"], ', "") if "value=" in field else given
    given = given.replace(', "neither"', ', better="neither"') if "value=" in field else given
    assert complaint in refused(tmp_path, given.format(field).replace(", ,", ","))


@pytest.mark.parametrize(
    ("formula", "complaint"),
    [
        ('lambda c: float(c["bad"]) / 2', "own.py:33: TypeError"),
        ("lambda c: None", "own.py:33: TypeError"),
        ("lambda c: 'many'", "own.py:33: TypeError"),
        ('lambda c: [c["bad"], c["texts"]]', "returned shape [2, 3] for arrays of 3 sums"),
        ('lambda c: c["bad"].nothing', "own.py:33: AttributeError"),
    ],
)
def test_a_formula_that_does_not_work_on_arrays_says_where_and_what_is_expected(tmp_path, formula, complaint):
    message = refused(tmp_path, f'Metric("made_up", {formula}, "neither")')
    assert complaint in message
    assert "value of metric 'made_up' maps names of counts to a number, element by element on NumPy arrays" in message


SUITES = {
    "options that are an instance": ("Options, Decoding", "Options(), Decoding", "options must be a dataclass"),
    "a group that is text": ('("all",)}, load', '"all"}, load', "expected a tuple of item groups such as"),
    "no decoding": ("Decoding(max_new_tokens=8)", "None", "field 'decoding' of Suite cannot be None"),
    "a name that is a number": ('Suite("own"', "Suite(3", "field 'name' of Suite cannot be 3"),
    "no name": ('Suite("own"', 'Suite(""', "a suite needs a name"),
    "load() without arguments": ("load(data, options, rows)", "load(data)", "load() cannot be called as halbench does"),
    "match() without arguments": ("match(items, rows)", "match(items)", "match() cannot be called as halbench does"),
    "score() without arguments": ("score(item, response, judgement)", "score(item)", "score() cannot be called as"),
    "an identity that is a list": ("score, {})", "score, [])", "field 'identity' of Task cannot be []"),
    "an identity of ours": ("score, {})", 'score, {"items": "1"})', "identity may not contain 'items'"),
    "an identity of objects": ("score, {})", 'score, {"x": object()})', "identity: cannot be written as JSON"),
    "a cluster that is a number": ('"all") for', '"all", 3) for', "field 'cluster' of Item cannot be 3"),
    "a truth that is an object": ('truth = ["good"] * 5', "truth = object()", "truth: cannot be written as JSON"),
    "images of one name": ("{n}.jpg", "{n}/image.jpg", "show different images of the same name, image.jpg"),
    "another group": ("Score.of(item, counts,", 'Score("0", "0.jpg", "other", counts,', "instead of the item's own"),
    "another state": ('["bad"] * bad})', '["bad"] * bad}, "ok")', "field 'state' of Score cannot be 'ok'"),
    "a count that is text": ('"texts": 1', '"texts": "1"', "count 'texts': expected a finite number, found '1'"),
    "a count that is NaN": (
        '"texts": 1',
        '"texts": float("nan")',
        "count 'texts': expected a finite number, found nan",
    ),
    "evidence that is an object": ('["bad"] * bad', "object()", "evidence: cannot be written as JSON"),
    "a suite that leaves": ("METRICS = (", "raise SystemExit(0)\nMETRICS = (", "cannot be imported"),
}


@pytest.mark.parametrize("mistake", SUITES)
def test_a_mistake_in_a_suite_is_one_line(tmp_path, mistake):
    old, new, complaint = SUITES[mistake]
    path = own_suite.write(tmp_path, MADE_UP, COVERAGE)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError) as caught:
        open_task(load_suite(str(path)), Data(tmp_path), None)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers_and_sets_have_one_order(tmp_path):
    path = own_suite.write(tmp_path, MADE_UP, COVERAGE)
    text = (
        path.read_text()
        .replace('"texts": 1', '"texts": np.int64(1)')
        .replace("score, {})", 'score, {"x": {"b", "a"}})')
    )
    path.write_text(text.replace("from pathlib", "import numpy as np\nfrom pathlib"))
    task = open_task(load_suite(str(path)), Data(tmp_path), None)
    scores = score_responses(task, [Response("0", "good bad")], {})
    assert as_json(scores[0].counts)["texts"] == 1
    assert as_json(task.identity) == {"x": ["a", "b"]}


@pytest.mark.parametrize(
    ("joint", "complaint"),
    [
        (lambda scores: None, "expected the 2 scores that it got"),
        (lambda scores: [1, 2], "joint(): expected Score, found int"),
        (lambda scores: [scores.pop()], "expected the 2 scores that it got"),
        (lambda scores: [replace(score, counts={}) for score in scores], "item '2': changed or removed a count"),
        (
            lambda scores: [replace(score, counts={**score.counts, "b": float("inf")}) for score in scores],
            "finite number",
        ),
    ],
    ids=["nothing", "no scores", "one removed in place", "no counts left", "an infinite count"],
)
def test_joint_counts_are_added_and_nothing_else(joint, complaint):
    scores = [Score("1", "1", "all", {}, state="missing"), Score("2", "2", "all", {"a": 1})]
    with pytest.raises(InputError) as caught:
        with_joint_counts(Task(TASK.items, TASK.score, {}, joint=joint), scores)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("ids", "complaint"),
    [
        (None, "expected an item id for each of 2 rows, found NoneType"),
        (["1"], "expected an item id for each of 2 rows, found 1"),
        (["1", "900"], "returned '900', which is no item's id"),
    ],
)
def test_what_match_returns_is_checked(ids, complaint):
    rows = [ResponseRow(1, "cat"), ResponseRow(2, "dog")]
    with pytest.raises(InputError, match=complaint):
        matched_ids(replace(SUITE, match=lambda items, rows: ids), TASK.items, rows)
