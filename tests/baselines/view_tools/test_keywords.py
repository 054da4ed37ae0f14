"""The key objects of an answer."""

import numpy as np
import pytest
from dog_pairs import CHOSEN

from baselines.view_tools.keywords import (
    keywords,
    letter_similarity,
    page_rank,
    rank,
    word_vectors,
)
from halbench.errors import InputError, MissingExtra
from halbench.scoring_tools.language import Language


def test_keywords_are_the_central_nouns_of_an_answer(language: Language):
    assert keywords(CHOSEN, language) == ("dog", "ball", "grass")
    assert keywords("The image shows two dogs and a man on the left side.", language) == ("dog", "man")
    assert keywords("Yes.", language) == ()
    assert keywords("", language) == ()


def test_a_noun_that_describes_another_is_no_keyword(language: Language):
    assert keywords("She holds a tennis racket.", language) == ("racket",)


def test_earlier_and_repeated_words_rank_higher():
    ranks = rank(["dog", "run", "ball", "grass", "dog", "tree", "sky"], letter_similarity)
    assert sum(ranks.values()) == pytest.approx(1)
    assert max(ranks, key=ranks.__getitem__) == "dog"
    assert ranks["ball"] > ranks["sky"]


def test_page_rank_of_a_hand_worked_graph():
    # b and c both lead to a; a leads to both alike.
    shares = page_rank(np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], dtype=float))
    centre = (0.15 / 3 + 0.85 * 0.15 / 3 * 2) / (1 - 0.85**2)
    assert shares == pytest.approx([centre, 0.05 + 0.425 * centre, 0.05 + 0.425 * centre])
    assert page_rank(np.zeros((1, 1))) == pytest.approx([1.0])


def test_letter_similarity_knows_words_by_their_letters():
    assert letter_similarity("dog", "dog") == pytest.approx(1)
    assert letter_similarity("dog", "cat") == 0
    assert 0 < letter_similarity("snowboard", "snowboarder") < 1


def test_word_vectors_are_never_replaced_silently():
    with pytest.raises((MissingExtra, InputError), match="word vectors"):
        word_vectors("no_such_model")
