"""POPE: logs that carry their own questions, and the official scripts' numbers."""

import json
import random

import pytest
from stored import counts, jsonl, printed, score, values

from halbench.errors import InputError


def pope_log(number, label, answer, image="COCO_val2014_000000310196.jpg"):
    return {
        "question_id": number,
        "image": image,
        "text": f"Is there a thing {number}?",
        "label": label,
        "response": answer,
    }


def test_joined_pope_logs_with_repeated_ids_are_scored_row_by_row(data, tmp_path):
    logs = [pope_log(n, "yes", "yes", f"{split}_{n}.jpg") for split in ("a", "b", "c") for n in range(20)]
    evaluation = score("pope", jsonl(tmp_path / "joined.jsonl", logs), data)
    assert values(evaluation)["all", "accuracy"] == 1.0
    assert evaluation.coverage.items == evaluation.coverage.scored == 60


def test_a_pope_log_has_the_same_signature_in_any_order_and_after_out(data, tmp_path):
    logs = [pope_log(n, "yes" if n % 2 else "no", "yes") for n in range(40)]
    whole = score("pope", jsonl(tmp_path / "log.jsonl", logs), data, out=tmp_path / "run")
    random.Random(0).shuffle(logs)
    assert score("pope", jsonl(tmp_path / "shuffled.jsonl", logs), data).signature == whole.signature
    assert score("pope", tmp_path / "run", data).results == whole.results


def test_a_question_labelled_in_two_ways_is_refused(data, tmp_path):
    logs = [pope_log(1, "yes", "yes"), pope_log(1, "no", "yes")]
    with pytest.raises(InputError, match="labelled yes in one row and no in another"):
        score("pope", jsonl(tmp_path / "log.jsonl", logs), data)


# The official scripts' numbers


@pytest.mark.parametrize("name", ["real_blip2_opt2.7b_random", "real_llava15_7b__pope_adv"])
def test_pope_equals_llavas_script(data, name):
    official = json.loads((data.root / "expected/pope/pope.json").read_text())[name]
    lines = official if isinstance(official, list) else official["llava_style"]
    evaluation = score("pope", data.root / f"responses/pope/{name}.jsonl", data)
    numbers, sums = printed(evaluation), counts(evaluation)
    true_positive, false_positive, true_negative, false_negative = map(int, lines[1].split("\t"))
    assert sums["correct_positive"] == true_positive
    assert sums["answered_positive"] == true_positive + false_positive
    assert sums["correct"] == true_positive + true_negative
    assert sums["truth_positive"] == true_positive + false_negative
    names = ("accuracy", "precision", "recall", "f1", "yes_ratio")
    assert [numbers["all", name] for name in names] == [float(line.split(": ")[1]) for line in lines[2:7]]


def test_pope_equals_vcds_script(data):
    lines = json.loads((data.root / "expected/pope/pope.json").read_text())["real_blip2_opt2.7b_random"]["vcd_style"]
    evaluation = score("pope", data.root / "responses/pope/real_blip2_opt2.7b_random.jsonl", data, "answers=vcd")
    official = dict(line.split(": ") for line in lines)
    names = {"Precision": "precision", "Recall": "recall", "F1": "f1", "Accuracy": "accuracy", "yes": "yes_ratio"}
    for name, metric in names.items():
        assert values(evaluation)["all", metric] == pytest.approx(float(official[name]), abs=1e-12)
