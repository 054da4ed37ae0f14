"""When failures of single items show that the model is at fault."""

from pathlib import Path

import pytest

from halbench.errors import InputError
from halbench.models.failures import LONGEST_STREAK, FailureStreak
from halbench.types import Item


def item(number: int, *images: str) -> Item:
    return Item(str(number), tuple(map(Path, images)), "?", None, "all", cluster="one for all")


@pytest.mark.parametrize("subject", ["images", "questions"])
def test_the_same_failure_on_eight_images_or_imageless_questions_in_a_row_stops_the_run(subject):
    streak = FailureStreak()
    items = [item(n, *([f"{n}.jpg"] if subject == "images" else [])) for n in range(LONGEST_STREAK)]
    for each in items[:-1]:
        row = streak.error_row(each, "out of ink")
        assert (row.item, row.state, row.error) == (each.id, "error", "generation failed: out of ink")
    with pytest.raises(InputError, match=f"failed for 8 {subject} in a row with the same error: out of ink; buy some"):
        streak.error_row(items[-1], "out of ink", "; buy some")


def test_any_number_of_questions_on_the_same_images_count_once():
    streak = FailureStreak()
    for n in range(50):
        streak.error_row(item(n, "a.jpg", "b.jpg"), "odd image")


@pytest.mark.parametrize("between", ["an answer", "another failure"])
def test_an_answer_or_another_failure_starts_the_count_again(between):
    streak = FailureStreak()
    for n in range(50):
        streak.error_row(item(n, f"{n}.jpg"), f"failure {n // 7 if between == 'another failure' else 0}")
        if between == "an answer" and n % 7 == 6:
            streak.end()
