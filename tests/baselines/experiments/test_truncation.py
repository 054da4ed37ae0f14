"""The control without last sentences."""

import pytest

from baselines.experiments.truncation import truncated, without_last_sentence
from halbench.types import Response


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("A cup. A fork.", "A cup."),
        ("A cup is there! Beside it lie two forks and a knife.\n", "A cup is there!"),
        ("A cup.", "A cup."),
        ("A cup and a fork", "A cup and a fork"),
        ("", ""),
    ],
)
def test_truncation_drops_the_last_of_several_sentences(text, left):
    assert without_last_sentence(text) == left


def test_a_truncated_response_forgets_how_long_it_was_and_others_stay_as_they_are():
    long, short = Response("1", "One. Two.", tokens=4, finish="stop"), Response("2", "Yes", tokens=1, finish="stop")
    assert truncated([long, short]) == [Response("1", "One."), short]
