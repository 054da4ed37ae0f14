"""Reading yes and no from an answer, in each of the ways that exist."""

import pytest

from halbench.scoring_tools import yes_no


@pytest.mark.parametrize(
    ("text", "strict", "lenient", "llava"),
    [
        ("Yes", "yes", "yes", "yes"),
        ("No", "no", "no", "no"),
        ("yes", None, "yes", "yes"),
        ("No.", None, "no", "no"),
        (" Yes", None, "yes", "yes"),
        ("Yes, there is no doubt.", None, "yes", "no"),
        ("There is no dog in the image.", None, "no", "no"),
        ("**No**, it is not.", None, "no", "no"),
        ("Nope", None, None, "yes"),
        ("It is unclear whether yes or no.", None, None, "no"),
        ("I do not know", None, None, "no"),
        ("A dog. No cat.", None, None, "yes"),
        ("", None, None, "yes"),
        ("No image was provided.", None, None, "no"),
        ("No response.", None, None, "no"),
        ("Not sure, no idea", None, None, "no"),
        ("There is no dog in the image", None, "no", "no"),
        ("Yes/No", None, None, "yes"),
        ("Yes, no", None, None, "no"),
        ("No, there is none.", None, "no", "no"),
    ],
)
def test_each_reading_of_an_answer(text, strict, lenient, llava):
    answers = (yes_no.read_strict(text), yes_no.read_lenient(text), yes_no.read_llava(text))
    assert answers == (strict, lenient, llava)


@pytest.mark.parametrize(
    ("text", "truth", "answer"),
    [
        ("Yes", "yes", "yes"),
        ("No, it is not.", "yes", "no"),
        ("Yes, there is another one.", "no", "no"),  # "another" holds "no"
        ("Perhaps", "no", "yes"),
        ("Perhaps", "yes", "no"),
    ],
)
def test_vcd_looks_for_the_substring_that_the_truth_names(text, truth, answer):
    assert yes_no.read_vcd(text, truth) == answer


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    counts = {"correct_positive": 6, "answered_positive": 8, "truth_positive": 10}
    assert yes_no.f1(counts) == pytest.approx(2 * (6 / 8) * (6 / 10) / (6 / 8 + 6 / 10))


def test_an_unread_answer_is_wrong_and_counted_as_unread():
    counts = yes_no.count_answer("no", None, positive="no")
    assert (counts["questions"], counts["correct"], counts["answered_positive"], counts["unread"]) == (
        1,
        False,
        False,
        True,
    )


def test_the_authors_reading_is_counted_next_to_ours():
    counts = yes_no.count_both("no", "no", "yes", positive="yes")
    assert (counts["correct"], counts["answered_positive"]) == (True, False)
    assert (counts["official_correct"], counts["official_answered_positive"]) == (False, True)
    assert "official_questions" not in counts
