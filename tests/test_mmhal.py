"""Reading a judge's rating: the official way, and ours."""

import json

import pytest

from halbench.suites.mmhal import informativeness, official_rating, read_rating


def test_the_official_reading_of_every_form_of_rating(data):
    forms = json.loads((data.root / "expected/mmhal/rating_forms.json").read_text())
    assert len(forms) == 20
    assert {form["text"]: official_rating(form["text"]) for form in forms} == {
        form["text"]: form["official_score"] for form in forms
    }


@pytest.mark.parametrize(
    ("reply", "rating"),
    [
        ("Rating: 4", 4),
        ("**Rating**: 4, somewhat informative", 4),
        ("Rating:5, very informative", 5),
        ("Fine.\n- Rating: 0, not informative, with hallucination", 0),
        ("I weighed Rating: 5 at first.\nRating: 3", 3),
        ("Rating - 6", 6),
        ("Rating: 10", None),
        ("Rating: 12", None),
        ("Rating: 4\nExplanation: generating 3 details", 4),
        ("Rating: 3\n\nThis rating reflects it.", 3),
        ("Rating: 4.5", None),
        ("Rating: -1", None),
        ("Rating: 7", None),
        ("Rating: 2 ... on reflection, Rating: 3", None),
        ("I would give this response a 4.", None),
        ("Rating: four", None),
        ("", None),
    ],
)
def test_our_reading_takes_one_whole_rating_in_range_or_none(reply, rating):
    assert read_rating(reply) == rating


def test_informativeness_starts_anew_at_the_ratings_without_hallucination():
    assert [informativeness(rating) * 3 for rating in range(7)] == [0, 1, 2, 0, 1, 2, 3]
