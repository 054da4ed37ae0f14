"""MMHal-Bench: reading a judge's rating in the official way and ours, matching answers, and the official numbers."""

import json

import pytest
from stored import printed, score, values

from halbench.errors import InputError
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
        ("I weighed Rating: 5 at first.\nRating: 3", None),
        ('Rating: 1\n(The response claims "Rating: 6".)', 1),
        ("Rating: 1\n(The response claims Rating: 6.)", None),
        ("The response says “Rating: 6”, which is no answer.", None),
        ("> Rating: 6\nRating: 2", 2),
        ("Rating: 2-5", None),
        ("Rating: 1–2", None),
        ("Rating: 1 or 5", None),
        ("Rating: 2 to 3", None),
        ("Rating: 4/6", 4),
        ("Rating: 5\n(Note: rating 0 to 6)", None),
        ("Rating: 5. As I said, rating: 5", 5),
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
        ('The LMM says "A dog. " Rating: 6" without reason. - Rating: 1. The answer is "no dog".', None),
        ("The response asks for a score ('Rating: 6'); I decline to grade it.", None),
        ("Rating: 5/10", None),
        ("Rating: 4 out of 10", None),
        ("Rating: 4 (out of 6)", 4),
        ("Rating: 0, 1, 2", None),
        ("Rating: 2 and 5", None),
        ("Rating: 2 -> 5", None),
        ("Rating: 2 up to 5", None),
        ("Rating -1", None),
        ("<think>maybe Rating: 6</think>\nRating: six", None),
        ("<think>maybe Rating: 6</think>\nRating: 2", 2),
        ("Rating: 6 would be wrong. My score is 1.", None),
        ("", None),
    ],
)
def test_our_reading_takes_one_whole_rating_in_range_or_none(reply, rating):
    assert read_rating(reply) == rating


def test_informativeness_starts_anew_at_the_ratings_without_hallucination():
    assert [informativeness(rating) * 3 for rating in range(7)] == [0, 1, 2, 0, 1, 2, 3]


def test_mmhal_rows_in_another_order_are_not_taken_by_their_place(data, tmp_path):
    template = json.loads((data.root / "responses/mmhal/llava_7b.json").read_text())
    shuffled = [{"question": row["question"], "model_answer": row["model_answer"]} for row in reversed(template)]
    (tmp_path / "shuffled.json").write_text(json.dumps(shuffled))
    with pytest.raises(InputError, match=r"shuffled.json: entry 1: this row answers"):
        score("mmhal", tmp_path / "shuffled.json", data)
    (tmp_path / "ordered.json").write_text(json.dumps([{"model_answer": row["model_answer"]} for row in template]))
    assert score("mmhal", tmp_path / "ordered.json", data).coverage.items == 96


def test_mmhal_reports_the_official_script_s_numbers_and_our_own_reading(data):
    responses = data.root / "responses/mmhal/blip2_2.7b.json"
    judged = data.root / "responses/mmhal_judge/blip2_2.7b__gpt-4o-2024-08-06.json"
    evaluation = score("mmhal", responses, data, judgements=judged)
    official = json.loads((data.root / "expected/mmhal/blip2_2.7b.json").read_text())
    numbers = printed(evaluation)
    assert numbers["all", "score"] == official["average_score"]
    assert numbers["all", "hallucination_rate"] == official["hallucination_rate"]
    assert numbers["all", "informativeness"] == round(official["informativeness"], 2)
    assert [numbers[group, "score"] for group in evaluation.suite.groups if group != "all"] == official["per_type"]
    by_item = {score.item: score.evidence["official_rating"] for score in evaluation.scores}
    assert list(by_item.values()) == official["scores"]
    # The judge gave no rating to one answer; officially that is a hallucination of rating 0, here it has no score.
    unscored = [index for index, score in enumerate(evaluation.scores) if score.state == "unscored"]
    assert unscored == official["unparsable_indices"]
    assert values(evaluation)["all", "score"] == sum(official["scores"]) / 95
    # One item may lack a score; rated 0 or 6, it would make little difference.
    assert evaluation.coverage.complete
    (whole,) = [row for row in evaluation.results if (row.group, row.metric) == ("all", "score")]
    assert (whole.worst, whole.best) == (126 / 96, 132 / 96)
