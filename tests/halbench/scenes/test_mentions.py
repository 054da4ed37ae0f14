"""Which classes a text names, and where."""

import pytest

from halbench.scenes.mentions import Mention, mentions


def names(text: str) -> list[str]:
    return [mention.name for mention in mentions(text)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("Two knives and three mice.", ["knife", "mouse"], id="plurals"),
        pytest.param("An orange cup", ["cup"], id="a colour is no object"),
        pytest.param("This is a kitchen.", [], id="a context is no object"),
        pytest.param("FORK.", ["fork"], id="capitals"),
        pytest.param("forklift, cupboard", [], id="part of a longer word"),
        pytest.param("There is no red knife and a fork.", ["fork"], id="denied"),
        pytest.param("A fork without a knife; no cup. A bowl", ["fork", "bowl"], id="a denial ends with its object"),
    ],
)
def test_mentions_are_the_classes_that_a_text_claims_are_present(text: str, named: list[str]):
    assert names(text) == named


def test_a_mention_says_where_in_the_text_it_is():
    text = "A fork and two knives."
    assert mentions(text) == [Mention("fork", 2, 6), Mention("knife", 15, 21)]
    assert [text[mention.start : mention.end] for mention in mentions(text)] == ["fork", "knives"]
