"""A metric that a model improves by saying less names a companion that shows it, or the suite is refused."""

from dataclasses import dataclass, replace

import numpy as np
import own_suite
import pytest
from own_suite import COVERAGE, MADE_UP, opened, refused
from toy_suite import SUITE, TASK

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.evaluation.empty_answers import check_empty_answers, outcome_of_empty_answers, probed_values, words_of
from halbench.evaluation.suite_contract import all_metrics
from halbench.evaluation.suites import load_suite, open_task
from halbench.plugins import names
from halbench.scoring_tools.ratios import ratio_metric
from halbench.types import Extremes, Item, Metric, Score, Suite, Task

BUILT_IN = names("halbench.suites")


def test_a_metric_with_a_companion_that_shows_silence_is_accepted(tmp_path):
    assert len(opened(tmp_path, MADE_UP, COVERAGE).items) == 60


@pytest.mark.parametrize(
    ("metric", "outcome"),
    [
        ('ratio_metric("made_up", "bad", "words", "lower", companions=())', "leave all/made_up undefined"),
        ('ratio_metric("hal", "texts_bad", "texts", "lower", companions=())', "bring all/hal to 0"),
        ('ratio_metric("faithfulness", "good", "words", "higher")', "leave all/faithfulness undefined"),
        ('Metric("faithfulness", lambda c: c["good"] / c["words"], "higher")', "leave all/faithfulness undefined"),
    ],
    ids=["lower, 0/0 without words", "lower, 0 without words", "higher, 0/0 without words", "a formula of its own"],
)
def test_a_metric_that_silence_improves_is_refused_without_a_companion(tmp_path, metric, outcome):
    message = refused(tmp_path, metric, COVERAGE)
    assert f"empty answers {outcome}, so a model can improve it" in message
    assert 'name a metric that shows this: companions=("coverage",)' in message


def test_a_metric_that_calls_silence_perfect_is_refused_without_a_companion():
    animals = ("cat", "dog")
    items = [Item(str(n), (), "Which animals are there?", animals[n % 2], "all") for n in range(60)]

    def score(item, response, judgement):
        named = [word for word in response.text.split() if word in animals]
        return Score.of(item, {"named": len(named), "wrong": sum(word != item.truth for word in named)})

    faithfulness = Metric("faithfulness", lambda c: 1 - c["wrong"] / np.maximum(c["named"], 1), "higher")
    with pytest.raises(InputError, match="empty answers score as well as correct ones on all/faithfulness"):
        check_empty_answers(replace(SUITE, metrics=(faithfulness,)), Task(items, score, {}))


def test_companions_that_silence_improves_as_well_show_nothing(tmp_path):
    message = refused(
        tmp_path,
        MADE_UP.replace("coverage", "hal"),
        'ratio_metric("hal", "texts_bad", "texts", "lower", companions=("made_up",))',
    )
    assert "leave all/made_up undefined and hal no worse, so a model" in message


def test_a_metric_that_silence_does_not_improve_needs_no_companion(tmp_path):
    missed = 'Metric("missed", lambda c: 1 - c["good"] / c["slots"], "lower", companions=())'
    assert opened(tmp_path, missed)


def test_the_share_of_unread_answers_may_be_0_by_a_reading_that_reads_everything():
    unread = ratio_metric("unread", "unread", "asked", "lower", companions=(), unread=True)
    task = Task(TASK.items, lambda item, response, judgement: Score.of(item, {"asked": 1, "unread": 0}), {})
    check_empty_answers(replace(SUITE, metrics=(unread,)), task)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_suite_keeps_the_contract_on_its_real_data(name, data, tmp_path):
    suite = load_suite(name)
    options = suite.options(scenes=40) if name == "scenes" else suite.options()
    task = open_task(suite, Data(data.root, cache=tmp_path), options)
    values = probed_values(suite, task)
    improved = {key for key, metric in all_metrics(suite).items() if outcome_of_empty_answers(metric, values[key])}
    lower = {key for key in improved if all_metrics(suite)[key].better == "lower"}
    assert all(suite.companions(*key) for key in improved)
    assert {key[1] for key in lower} == {
        "amber": {"chair", "hal", "cog"},
        "chair": {"chair_s", "chair_i"},
        "mmhal": set(),  # scored by a judge alone
        "object_halbench": {"response_hall", "chair_s", "object_hall"},
        "pope": set(),
        "scenes": {"chair", "hal", "cog"},
    }.get(name, {metric for _, metric in lower})


def test_extremes_that_an_answer_exceeds_are_refused():
    right = ratio_metric("right", "right", "asked", "higher")

    def score(item, response, judgement):
        return Score.of(item, {"asked": 1, "right": response.text == item.truth})

    task = Task(
        TASK.items, score, {}, extremes=lambda item: Extremes({"asked": 1, "right": 0.5}, {"asked": 1, "right": 0})
    )
    with pytest.raises(
        InputError, match=r"bring all/right to 1, but by Task\.extremes it is 0 at worst and 0\.5 at best"
    ):
        check_empty_answers(replace(SUITE, metrics=(right,)), task)


def test_a_joint_metric_that_silence_improves_is_refused():
    def joint(scores):
        pairs: dict[str, list[Score]] = {}
        for score in scores:
            pairs.setdefault(score.cluster, []).append(score)
        wrong = {members[0].item: any(s.counts.get("wrong") for s in members) for members in pairs.values()}
        return [
            replace(s, counts={**s.counts, "pairs": 1, "pairs_wrong": wrong[s.item]}) if s.item in wrong else s
            for s in scores
        ]

    def score(item, response, judgement):
        return Score.of(item, {"asked": 1, "wrong": response.text not in ("", item.truth)})

    pairs_wrong = ratio_metric("pairs_wrong", "pairs_wrong", "pairs", "lower", companions=())
    suite: Suite = replace(SUITE, metrics=(pairs_wrong,))
    with pytest.raises(InputError, match="empty answers bring all/pairs_wrong to 0"):
        check_empty_answers(suite, Task(TASK.items, score, {}, joint=joint))


def test_a_formula_that_python_cannot_divide_is_undefined_and_no_error():
    share = Metric("share", lambda c: c["wrong"] / (c["asked"] - c["asked"]), "higher")
    values = probed_values(replace(SUITE, metrics=(share,)), TASK)["all", "share"]
    assert all(value is not None and value != value for value in values.values())


# What a first version of this check let through

RESULTS_OF_SILENCE = {
    "a count that only some answers have": 'Metric("made_up", lambda c: c["never"] / c["texts"], "lower", companions=())',
    "a smoothed rate": 'Metric("made_up", lambda c: (c["bad"] + 1) / (c["texts"] + c["bad"] + 2), "lower", companions=())',
    "higher is better, and any word counts against it": (
        'Metric("faithful", lambda c: 1 - c["words"] / (c["texts"] * 99), "higher")'
    ),
    "a companion that is always 1": (
        'ratio_metric("made_up", "bad", "words", "lower", companions=("texts",)), ratio_metric("texts", "texts", "texts", "higher")'
    ),
    "declared as a share of unread answers": 'ratio_metric("made_up", "bad", "texts", "lower", companions=(), unread=True)',
}  # fmt: skip


@pytest.mark.parametrize("metric", RESULTS_OF_SILENCE)
def test_a_metric_that_rewards_saying_less_is_refused_however_it_is_written(tmp_path, metric):
    path = own_suite.write(tmp_path, RESULTS_OF_SILENCE[metric], COVERAGE)
    text = path.read_text().replace('truth = ["good"] * 5', 'truth = ["good"] * 4 + ["bad"]')
    text = text.replace("    return Score.of(", '    counts |= {"never": bad} if bad else {}\n    return Score.of(')
    path.write_text(text)
    with pytest.raises(InputError, match="so a model can improve it by saying less"):
        open_task(load_suite(str(path)), Data(tmp_path), None)


def test_a_misspelt_count_is_an_error_and_not_a_metric_less(tmp_path):
    message = refused(tmp_path, MADE_UP.replace('"bad"', '"badd"'), COVERAGE)
    assert "the formula of metric 'made_up' uses a count that no score has" in message


def test_a_truth_that_is_a_dataclass_is_read_as_well():
    @dataclass
    class Truth:
        objects: list[str]
        color: str

    assert words_of(Truth(["cat", "dog"], "red")) == "cat dog red"
