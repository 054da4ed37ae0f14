"""POPE: logs that carry their own questions, and the official scripts' numbers."""

import json
import random
from pathlib import Path

import pytest
from paths import ROOT
from stored import counts, jsonl, printed, score, values
from written_responses import row_of

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.suites.pope import match_whole_lists
from halbench.types import Item


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


@pytest.mark.parametrize("form", ["**{}**", "{}</s>", '"{}"', "{}\n\nThe image ...", '{{"answer": "{}"}}', "Answer:{}"])
def test_the_form_of_an_answer_moves_the_official_number_only(data, tmp_path, form):
    logs = [pope_log(n, label, form.format(label)) for n, label in enumerate(["Yes", "No"] * 10)]
    evaluation = score("pope", jsonl(tmp_path / "log.jsonl", logs), data)
    assert values(evaluation)["all", "accuracy"] == 1.0
    assert values(evaluation)["all", "unread"] == 0.0
    assert printed(evaluation)["all", "accuracy"] == 0.5  # LLaVA's script reads every one as a yes
    assert "all accuracy 100.0%, by the authors' reading 50.0%" in evaluation.notes[0]


def test_an_answer_that_is_neither_yes_nor_no_is_wrong_and_unread(data, tmp_path):
    logs = [pope_log(n, "yes", text) for n, text in enumerate(["", "Nein", "没有", "I cannot help with that."])]
    for answers in ("llava", "vcd"):
        evaluation = score("pope", jsonl(tmp_path / "log.jsonl", logs), data, f"answers={answers}")
        assert [values(evaluation)["all", name] for name in ("accuracy", "unread", "yes_ratio")] == [0.0, 1.0, 0.0]
    assert printed(evaluation)["all", "accuracy"] is None  # VCD reads four times no and divides by zero


def test_a_question_file_is_not_taken_for_answers():
    excerpt = Data(ROOT / "tests/data/parity")
    with pytest.raises(InputError, match=r"adversarial.jsonl:1: the response is the question itself, 'Is there a "):
        score("pope", excerpt.file("pope/coco_pope_adversarial.jsonl"), excerpt, "split=adversarial")


def test_a_model_that_repeats_one_question_is_scored(data, tmp_path):
    logs = [pope_log(n, "yes", "yes") for n in range(9)] + [pope_log(9, "yes", "Is there a thing 9?")]
    assert values(score("pope", jsonl(tmp_path / "log.jsonl", logs), data))["all", "unread"] == 0.1


LISTS = [
    Item(f"{split}/{n}", (Path(f"{n}.jpg"),), f"Is there a {thing} {n}?", "yes" if n % 2 else "no", split)
    for split, things in (("random", ("car", "dog")), ("adversarial", ("cat", "tie", "cup")))
    for n, thing in enumerate(things)
]


def answer_rows(items, **fields):
    return [row_of("Yes", question_id=n, prompt=f"{item.prompt}\nAnswer.", **fields) for n, item in enumerate(items)]


def test_whole_question_lists_are_matched_by_order_without_ids_or_images():
    swapped = LISTS[2:] + LISTS[:2]
    assert match_whole_lists(LISTS, answer_rows(swapped)) == [item.id for item in swapped]
    assert match_whole_lists(LISTS, answer_rows(LISTS[:2])) == ["random/0", "random/1"]


def test_nothing_is_matched_by_order_where_counts_questions_or_labels_disagree():
    assert match_whole_lists(LISTS, answer_rows(LISTS[:4])) is None
    assert match_whole_lists(LISTS, answer_rows(LISTS[::-1])) is None
    assert match_whole_lists(LISTS, answer_rows(LISTS, target="yes")) is None


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


def test_a_part_of_a_question_list_beside_a_foreign_question_is_named(data, tmp_path):
    lines = (data.root / "pope/coco_pope_adversarial.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines if '"label": "yes"' in line]
    rows = [row | {"response": row["label"]} for row in [*rows, pope_log(1, "yes", "yes")]]
    evaluation = score("pope", jsonl(tmp_path / "a.jsonl", rows), data)
    assert f"own list of {len(rows)} questions" in evaluation.notes[0]
    assert f"{len(rows) - 1} of the 3000 of adversarial" in evaluation.notes[0]
