"""Closed questions: where they come from, and what an answer is worth."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_training

from baselines.pairs.questions import ClosedQuestion, questions_hash, read_choice, read_questions, reward
from halbench.errors import InputError

FORK = ClosedQuestion("1", Path("1.png"), "Is there a fork in the image?", "no")


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("no", 1.5),
        ("No.", 1.5),
        ("No, there is none.", 1.0),
        ("Yes.", 0.5),
        ("Yes, two.", 0.0),
        ("A fork", 0.0),
        ("", 0.0),
    ],
)
def test_a_right_answer_earns_one_and_a_plain_one_0_5(text, worth):
    assert reward(FORK, text) == worth


@pytest.mark.parametrize(
    ("text", "read"), [("B", "b"), ("The answer is B.", "b"), ("A or B", None), ("", None), ("Because", None)]
)
def test_a_choice_is_read_where_it_is_the_only_one_named(text, read):
    assert read_choice(text, ("A", "B")) == read


def write_questions(folder: Path, **changed: Any) -> Path:
    small_training.write_pairs(folder / "pictures", 1)
    row = {"id": "q", "image": "pictures/0.png", "prompt": "Is it red?", "answer": "yes", **changed}
    path = folder / "questions.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return path


def test_questions_are_read_from_a_file_with_images_in_its_folder(tmp_path):
    path = write_questions(tmp_path, answer="B", choices=["A", "B"])
    assert read_questions(str(path), 0, tmp_path) == [
        ClosedQuestion("q", tmp_path / "pictures/0.png", "Is it red?", "B", ("A", "B"))
    ]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"answer": "maybe"}, "jsonl:1: answer 'maybe' is none of"),
        ({"image": "no.png"}, "jsonl:1: image .* does not exist"),
    ],
)
def test_the_error_names_an_invalid_question(tmp_path, changed, complaint):
    with pytest.raises(InputError, match=complaint):
        read_questions(str(write_questions(tmp_path, **changed)), 0, tmp_path)


def test_a_file_without_questions_is_refused(tmp_path):
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(InputError, match="contains no questions"):
        read_questions(str(tmp_path / "none.jsonl"), 0, tmp_path)


def test_the_hash_of_questions_covers_all_but_where_their_images_lie(tmp_path):
    (question,) = read_questions(str(write_questions(tmp_path / "a")), 0, tmp_path)
    (copy,) = read_questions(str(write_questions(tmp_path / "b")), 0, tmp_path)
    assert question.image != copy.image
    assert questions_hash([question]) == questions_hash([copy])
    changes = ({"prompt": "Is it blue?"}, {"answer": "no"}, {"choices": ("yes", "no", "maybe")}, {"id": "r"})
    assert len({questions_hash([replace(question, **change)]) for change in ({}, *changes)}) == 5
