"""Notes below the numbers: readings that disagree, and answers that do not seem to belong to their questions."""

import pytest
from stored import jsonl, score
from toy_suite import ANSWERS, SUITE, TASK

import halbench
from halbench.data.datasets import Data
from halbench.evaluation.evaluate import evaluate
from halbench.evaluation.notes import collapsed_coverage
from halbench.judging.judgements import Judgements
from halbench.types import Result


def told(tmp_path, answer, number=100, out=None):
    """The notes on POPE answers to questions with the labels yes and no in turn."""
    labels = ["yes", "no"] * (number // 2)
    rows = [
        {"question_id": n, "image": f"{n}.jpg", "text": f"Is there a {n}?", "label": label, "response": answer(label)}
        for n, label in enumerate(labels)
    ]
    return score("pope", jsonl(tmp_path / "log.jsonl", rows), Data(tmp_path), out=out).notes


def test_right_answers_need_no_note(tmp_path):
    assert told(tmp_path, str.capitalize) == ()


def test_accuracy_below_chance_asks_whether_the_ids_match(tmp_path):
    (note,) = told(tmp_path, {"yes": "No", "no": "Yes"}.get)
    assert note.startswith("all accuracy is 0.0%, below chance (50%): do the ids match")
    assert told(tmp_path, {"yes": "No", "no": "Yes"}.get, number=98) == ()


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_one_answer_to_all_questions_asks_whether_the_ids_match(tmp_path, answer):
    (note,) = told(tmp_path, lambda label: answer)
    assert note.startswith(f"all 100 answers are '{answer}': do the ids match")


def test_notes_are_kept_in_the_run_folder(tmp_path):
    notes = told(tmp_path, lambda label: "yes", out=tmp_path / "run")
    assert halbench.load(tmp_path / "run").notes == notes != ()


def test_numbers_that_the_authors_reading_moves_are_named(tmp_path):
    (note,) = told(tmp_path, "**{}**".format)
    assert note.startswith(
        "the authors' script reads these answers differently: all accuracy 100.0%, by the authors' reading 50.0%"
    )


def coverage_row(metric, value, n=100, **fields):
    ours = {"better": "higher", "main": True, "companions": ()} | fields
    return Result(
        suite="s", group="all", metric=metric, value=value, low=None, high=None, n=n, coverage=1.0, unit="fraction",
        official=None, signature="", label=metric, unread=False, published=None, description="", **ours,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hallucinated", "named", "n", "is_told"),
    [
        (0.0, 0.01, 100, True),  # nothing is named
        (0.98, 0.15, 100, True),  # nearly all hallucinate and little is named: captions of other images
        (0.45, 0.15, 100, False),  # terse
        (0.98, 0.5, 100, False),
        (0.0, 0.01, 99, False),
    ],
)
def test_collapsed_coverage_is_told_by_what_a_metric_declares(hallucinated, named, n, is_told):
    rows = [
        coverage_row("made_up", hallucinated, n, better="lower", companions=("all/breadth",)),
        coverage_row("breadth", named, n),
    ]
    assert bool(collapsed_coverage(rows)) == is_told


def test_replies_by_order_are_asked_about():
    (note,) = evaluate(SUITE, TASK, ANSWERS, None, Judgements({}, {"judge_match": "order"})).notes
    assert note.startswith("the judge's replies carry no ids and were matched by order")


def test_answers_that_changed_since_they_were_scored_are_named_when_they_are_scored_again(tmp_path, capsys):
    told(tmp_path, str.capitalize, out=tmp_path / "run")
    responses = tmp_path / "run/responses.jsonl"
    score(None, tmp_path / "run", Data(tmp_path))
    assert "has changed" not in capsys.readouterr().err
    responses.write_text(responses.read_text().replace('"Yes"', '"No"', 1))
    score(None, tmp_path / "run", Data(tmp_path))
    assert "responses.jsonl has changed since it was scored" in capsys.readouterr().err
