"""AMBER's rules for a description, on hand-worked cases, and its questions."""

from pathlib import Path

import pytest

from halbench import yes_no
from halbench.suites.amber import Lexicon, Slots, score_description, score_question
from halbench.types import Item

RELATIONS = {"sky": [], "person": ["man", "woman"], "man": [], "dog": ["puppy"], "cloud": [], "cat": []}
WORDS = frozenset({*RELATIONS, "woman", "puppy", "light", "kitten"})


def described(nouns, truth=("sky", "person"), hallu=("cloud", "dog"), similar=None):
    lexicon = Lexicon(WORDS, frozenset({"light"}), RELATIONS, similar or {})
    item = Item("1", Path("AMBER_1.jpg"), "Describe this image.", {}, "generative")
    return score_description(item, nouns, Slots.of(truth, RELATIONS), Slots.of(hallu, RELATIONS), lexicon).counts


def test_a_perfect_description():
    counts = described(["sky", "woman"])
    assert (counts["nouns"], counts["nouns_hallucinated"], counts["truth_covered"], counts["hallu_named"]) == (
        2,
        0,
        2,
        0,
    )
    assert not counts["descriptions_hallucinated"]


def test_a_repeated_hallucinated_noun_counts_twice_and_marks_its_slot_once():
    counts = described(["dog", "puppy", "dog"])
    assert (counts["nouns_hallucinated"], counts["hallu_named"]) == (3, 1)


def test_words_outside_the_vocabulary_do_not_count_at_all():
    assert described(["atmosphere", "moment"])["nouns"] == 0


def test_a_safe_word_is_never_wrong_but_stays_in_the_denominator():
    counts = described(["light"])
    assert (counts["nouns"], counts["nouns_hallucinated"]) == (1, 0)


def test_an_empty_description_does_not_hallucinate_and_covers_nothing():
    counts = described([])
    assert (counts["descriptions_hallucinated"], counts["truth_covered"], counts["truth_slots"]) == (False, 0, 2)


def test_a_word_marks_the_first_slot_whose_relations_list_it_even_before_its_own():
    # "man" stands for "person", listed first; the slot "man" itself stays unmarked, officially.
    counts = described(["man"], truth=("person", "man"))
    assert counts["truth_covered"] == 1
    assert Slots.of(("person", "man"), RELATIONS).markers["man"] == 0


def test_a_noun_similar_to_a_truth_word_is_right_and_may_mark_a_hallucination_as_well():
    similar = {"kitten": frozenset({"cat", "dog"})}
    counts = described(["kitten"], truth=("cat",), hallu=("dog",), similar=similar)
    assert (counts["nouns_hallucinated"], counts["truth_covered"], counts["hallu_named"]) == (0, 1, 1)


def test_without_similarity_the_same_noun_is_hallucinated():
    counts = described(["kitten"], truth=("cat",), hallu=("dog",))
    assert (counts["nouns_hallucinated"], counts["truth_covered"], counts["hallu_named"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("text", "truth", "correct", "positive"),
    [
        ("No", "no", True, True),
        ("Yes", "no", False, False),
        ("no", "no", False, False),
        ("Yes", "yes", True, False),
        ("No", "yes", False, True),
    ],
)
def test_only_exact_answers_count_and_no_is_the_positive_class(text, truth, correct, positive):
    item = Item("1005", Path("AMBER_1.jpg"), "Is it?", truth, "state")
    counts = score_question(item, text, yes_no.read_strict).counts
    assert (bool(counts["correct"]), bool(counts["answered_positive"])) == (correct, positive)


def test_the_share_that_neither_reading_understands_stands_apart():
    item = Item("1005", Path("AMBER_1.jpg"), "Is it?", "no", "state")
    unread = {text: score_question(item, text, yes_no.read_strict).counts for text in ("no.", "Perhaps")}
    assert (unread["no."]["unread"], unread["no."]["unreadable"]) == (True, False)
    assert (unread["Perhaps"]["unread"], unread["Perhaps"]["unreadable"]) == (True, True)
