"""Judges of the same responses: with themselves and with each other."""

import json

import numpy as np
import pytest
from judge_server import JudgeServer, reply
from stored import jsonl, score

from halbench.errors import InputError
from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.reliability import cluster_totals, reliability
from halbench.evaluation.score import score_stored
from halbench.judging.options import JudgeOptions, Judging
from halbench.types import Judgement

pytest.importorskip("openai")


def test_responses_on_one_image_are_summed_before_they_are_drawn():
    counts = np.array([[1.0, 2.0], [3.0, np.nan], [np.nan, np.nan], [5.0, 6.0]])
    summed = cluster_totals(counts, ["a", "a", "b", "c"])
    np.testing.assert_array_equal(summed, [[4.0, 5.0], [np.nan, np.nan], [5.0, 6.0]])


@pytest.fixture
def answers(data, tmp_path):
    """A real model's answers to the first 12 of MMHal's 96 questions."""
    return first_answers(data, tmp_path / "answers.json", "llava_7b")


def first_answers(data, path, model):
    path.write_text(json.dumps(json.loads((data.root / f"responses/mmhal/{model}.json").read_text())[:12]))
    return path


def replies(path, judge, ratings):
    """A run's judgements: ratings[repeat][item] of one judge, None for an unreadable reply."""
    return [
        Judgement(
            item,
            f"{judge}{repeat}{item}",
            judge,
            judge,
            "hm" if rating is None else f"Rating: {rating}",
            "unparsable" if rating is None else "ok",
            judge=judge,
            repeat=repeat,
        )
        for repeat, column in enumerate(ratings, 1)
        for item, rating in column.items()
    ]


def run_with(path, answers, data, *judges):
    """A run folder of these answers, with the replies of judges."""
    score("mmhal", answers, data, out=path)
    jsonl(path / "judgements.jsonl", [vars(row) for judge in judges for row in judge])
    return path


@pytest.fixture
def items(data):
    rows = json.loads((data.root / "mmhal/mmhal-bench_answer_template.json").read_text())
    return [row["image_id"] for row in rows[:12]]


def test_a_judge_that_repeats_itself_agrees_fully_and_adds_no_variance(answers, data, items, tmp_path):
    same = {item: place % 7 for place, item in enumerate(items)}
    run = run_with(tmp_path / "run", answers, data, replies(tmp_path, "a", [same, same]))
    rating, rate = reliability([run], data).judges
    assert (rating.metric, rating.repeats, rating.n, rating.identical, rating.alpha) == ("score", 2, 12, 1.0, 1.0)
    assert (rating.level, rate.level) == ("ordinal", "nominal")
    assert rating.value == pytest.approx(sum(same.values()) / 12)
    assert rating.margin == pytest.approx(0)
    assert rating.low < rating.value < rating.high


def test_two_judges_and_unreadable_replies(answers, data, items, tmp_path):
    """Judge b is one point stricter, and says nothing readable about the first two."""
    a = {item: 2 + place % 3 for place, item in enumerate(items)}
    b = {item: None if place < 2 else a[item] - 1 for place, item in enumerate(items)}
    run = run_with(tmp_path / "run", answers, data, replies(tmp_path, "a", [a]), replies(tmp_path, "b", [b]))
    found = reliability([run], data)
    assert [(row.judge, row.n, row.alpha, row.margin) for row in found.judges[:2]] == [
        ("a", 12, None, None),
        ("b", 10, None, None),
    ]
    rating, rate = found.pairs
    assert (rating.a, rating.b, rating.n, rating.difference, rating.identical) == ("a", "b", 10, -1.0, 0.0)
    assert rating.alpha < 1
    assert rate.difference == pytest.approx(sum(a[item] == 3 for item in items[2:]) / 10)


def test_judges_of_two_folders_are_compared_if_the_responses_are_the_same(answers, data, items, tmp_path):
    same = dict.fromkeys(items, 3)
    one, two = (run_with(tmp_path / name, answers, data, replies(tmp_path, "a", [same])) for name in ("one", "two"))
    pair = reliability([one, two], data).pairs[0]
    assert (pair.a, pair.b, pair.identical, pair.alpha) == ("a (one)", "a (two)", 1.0, None)
    other = run_with(tmp_path / "other", first_answers(data, tmp_path / "idefics.json", "idefics_9b"), data)
    with pytest.raises(InputError, match=r"other: expected the responses of .*one, found others"):
        reliability([one, other], data)
    with pytest.raises(InputError, match=r"other: no judge's replies; judge it: halbench score --responses .*other"):
        reliability([other], data)


def test_repeats_of_a_run_are_scored_by_their_mean_also_when_it_is_scored_again(answers, data, tmp_path):
    def script(prompt, time):
        return reply(f"Rating: {2 + 2 * (time > 0)}", usage=(9, 3))

    choice = SuiteChoice(data.root, data.images, "mmhal")
    with JudgeServer(script) as server:
        judge = JudgeOptions("m", server.url, repeats=2, concurrency=1)
        evaluation = score_stored(choice, answers, Judging(judge), tmp_path / "run")
        assert len(server.requests) == 24
        score_stored(choice, answers, Judging(JudgeOptions("n", server.url)), tmp_path / "run")
        again = score_stored(choice, answers, Judging(judge), tmp_path / "run")
        assert len(server.requests) == 24 + 12
    values = {(row.group, row.metric): row.value for row in evaluation.results}
    assert (values["all", "score"], values["all", "hallucination_rate"]) == (3.0, 0.5)
    assert evaluation.fields["judge_repeats"] == "2"
    assert again.results == evaluation.results
    rescored = score(None, tmp_path / "run", data)
    assert (rescored.signature, rescored.results) == (evaluation.signature, evaluation.results)
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert (manifest["judge_cost"]["requests"], manifest["judge_cost"]["prompt_tokens"]) == (24, 24 * 9)


def test_stored_replies_never_replace_those_that_were_paid_for(answers, data, items, tmp_path):
    paid = replies(tmp_path, "a", [dict.fromkeys(items, 3)])
    run = run_with(tmp_path / "run", answers, data, paid)
    stored = jsonl(tmp_path / "b.jsonl", [vars(row) for row in replies(run, "b", [dict.fromkeys(items, 5)])])
    for _ in range(2):
        evaluation = score("mmhal", answers, data, judgements=stored, out=run)
    assert {row.value for row in evaluation.results if row.metric == "score"} == {5.0}
    rows = [json.loads(line) for line in (run / "judgements.jsonl").read_text().splitlines()]
    assert [row["judge"] for row in rows] == ["a"] * 12 + ["b"] * 12
    again = score(None, run, data)
    assert {row.value for row in again.results if row.metric == "score"} == {5.0}


def test_a_response_without_all_its_repeats_is_not_scored(answers, data, items, tmp_path):
    choice = SuiteChoice(data.root, data.images, "mmhal")
    with JudgeServer(lambda *_: reply("Rating: 3")) as server:
        judge = JudgeOptions("m", server.url, repeats=2, concurrency=1, max_requests=20)
        evaluation = score_stored(choice, answers, Judging(judge), tmp_path / "run")
        assert (evaluation.coverage.scored, evaluation.coverage.complete) == (8, False)
        assert "no verdict: not asked: --judge-max-requests 20" in evaluation.coverage.reasons
        assert score(None, tmp_path / "run", data).coverage.scored == 8
        evaluation = score_stored(choice, answers, Judging(judge), tmp_path / "run")
        assert (evaluation.coverage.scored, len(server.requests)) == (12, 24)
