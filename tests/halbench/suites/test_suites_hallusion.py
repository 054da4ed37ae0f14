"""A suite in the manner of HallusionBench, in one file: questions without an image, clusters of their own, and metrics that
need several answers at once, against the authors' own numbers."""

import json
import random

import hallusion_suite
import pytest
from stored import counts, jsonl, score, values

from halbench.evaluation.suites import load_suite, open_task

FILE = hallusion_suite.__file__
NAMES = {"accuracy": "aAcc", "figure_accuracy": "fAcc", "question_accuracy": "qAcc"}


@pytest.fixture(scope="module")
def task(data):
    suite = load_suite(FILE)
    return open_task(suite, data, suite.options())


def percent(evaluation, group="all"):
    return {name: 100 * values(evaluation)[group, name] for name in NAMES}


def stored(data, name):
    """The authors' rows under the ids of the suite."""
    lines = (data.root / f"hallusionbench/responses/{name}.jsonl").read_text().splitlines()
    return [
        {"id": "_".join(row[key] for key in hallusion_suite.KEY), "response": row["model_prediction"], **row}
        for row in map(json.loads, lines)
    ]


def test_questions_without_an_image_and_sets_as_clusters(task):
    assert len(task.items) == 1129
    assert sum(not item.images for item in task.items) == 178
    assert len({item.cluster for item in task.items}) == 167


@pytest.mark.parametrize("answers", ["read", "labelled"])
@pytest.mark.parametrize("name", ["all_yes", "yes_bias_short"])
def test_plain_answers_give_the_official_numbers_by_either_reading(data, tmp_path, name, answers):
    official = json.loads((data.root / f"hallusionbench/expected/{name}.json").read_text())["official_1129"]
    evaluation = score(FILE, jsonl(tmp_path / "a.jsonl", stored(data, name)), data, f"answers={answers}")
    for group, title in (("all", "overall"), ("VD", "VD"), ("VS", "VS")):
        for metric, printed in NAMES.items():
            assert round(percent(evaluation, group)[metric], 4) == official[title][printed], (group, metric)


def test_labelled_answers_give_the_official_numbers_and_denominators(data, tmp_path):
    official = json.loads((data.root / "hallusionbench/expected/noisy.json").read_text())["official_1129"]
    evaluation = score(FILE, jsonl(tmp_path / "a.jsonl", stored(data, "noisy")), data, "answers=labelled")
    for group, title in (("all", "overall"), ("VD", "VD"), ("VS", "VS")):
        sums, numbers = counts(evaluation, None if group == "all" else group), official[title]
        assert (sums["questions"], sums["correct"]) == (numbers["question"]["total"], numbers["question"]["correct"])
        assert (sums["figures_together"], sums["figures_right"]) == (
            numbers["figure"]["total"],
            numbers["figure"]["correct"],
        )
        assert (sums["questions_together"], sums["questions_right"]) == (
            numbers["pair"]["total"],
            numbers["pair"]["correct"],
        )
        assert [round(value, 4) for value in percent(evaluation, group).values()] == [
            numbers[name] for name in NAMES.values()
        ]


def test_answers_drawn_at_random_give_what_the_official_script_printed_of_them(data, task, tmp_path):
    draw = random.Random(0)
    rows = [{"id": item.id, "response": draw.choice(["yes", "no"])} for item in task.items]
    evaluation = score(FILE, jsonl(tmp_path / "a.jsonl", rows), data)
    assert {name: round(value, 3) for name, value in percent(evaluation).items()} == {
        "accuracy": 48.893,
        "figure_accuracy": 15.318,
        "question_accuracy": 18.022,
    }
    sums = counts(evaluation)
    assert (sums["figures_together"], sums["questions_together"]) == (346, 455)
    for row in evaluation.results:
        if row.metric in NAMES:
            assert row.low < row.value < row.high


def test_intervals_are_over_sets_and_wider_than_over_questions(data, task, tmp_path):
    draw = random.Random(1)
    right = {cluster: draw.random() < 0.5 for cluster in {item.cluster for item in task.items}}
    rows = []
    for item in task.items:
        answer = item.truth["answer"]
        rows.append({"id": item.id, "response": answer if right[item.cluster] else {"yes": "no", "no": "yes"}[answer]})
    evaluation = score(FILE, jsonl(tmp_path / "a.jsonl", rows), data)
    accuracy = next(row for row in evaluation.results if (row.group, row.metric) == ("all", "accuracy"))
    assert accuracy.high - accuracy.low > 2 * 2 * 1.96 * (0.25 / 1129) ** 0.5


def test_a_failed_answer_makes_its_figure_wrong_and_not_absent(data, task, tmp_path):
    rows = [{"id": item.id, "response": item.truth["answer"]} for item in task.items]
    first = next(item for item in task.items if item.truth["figure"])
    rows = [row if row["id"] != first.id else {**row, "item": first.id, "state": "error", "error": "x"} for row in rows]
    sums = counts(score(FILE, jsonl(tmp_path / "a.jsonl", rows), data))
    on_figure = sum(item.truth["figure"] == first.truth["figure"] for item in task.items)
    assert on_figure > 1
    assert (sums["figures_together"], sums["figures_right"]) == (346, 345)
    assert (sums["questions"], sums["correct"]) == (1128, 1128)


def test_the_command_scores_it_like_any_other_suite(data, halbench, tmp_path):
    jsonl(tmp_path / "a.jsonl", stored(data, "all_yes"))
    done = halbench("score", "--suite", FILE, "--responses", "a.jsonl", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    official = json.loads((data.root / "hallusionbench/expected/all_yes.json").read_text())["official_1129"]["overall"]
    rows = {row["name"]: row["value"] for row in json.loads(done.stdout)["metrics"] if row["group"] == "all"}
    assert {name: round(100 * rows[name], 4) for name in NAMES} == {
        name: official[title] for name, title in NAMES.items()
    }
