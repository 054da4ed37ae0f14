"""The words of a text that a scorer counted."""

from halbench.types import Score
from reports.highlights import counted, spans


def marked(text: str, **kinds: str) -> list[tuple[str, str]]:
    """(words, kind) of each mark."""
    bases = {base.replace("_", " "): kind for base, kind in kinds.items()}
    return [(text[begin:end], kind) for begin, end, kind, _ in spans(text, bases)]


def test_plurals_and_names_of_several_words_are_marked():
    text = "Two knives and a dining table."
    assert marked(text, knife="hallucinated", dining_table="correct") == [
        ("knives", "hallucinated"),
        ("dining table", "correct"),
    ]


def test_the_longest_name_counts():
    assert marked("A teddy bear.", bear="hallucinated", teddy_bear="correct") == [("teddy bear", "correct")]


def test_every_repetition_is_marked():
    assert marked("A dog, a DOG!", dog="correct") == [("dog", "correct"), ("DOG", "correct")]


def test_nothing_is_marked_in_a_text_without_counted_words():
    assert marked("A cat.", dog="correct") == marked("", dog="correct") == marked("A cat.") == []


def test_evidence_lists_words_or_mentions_and_a_word_counted_as_both_is_hallucinated():
    mentions = [{"word": "Dog", "category": "dog"}, {"word": "puppy", "category": "dog"}]
    both = Score("1", "1.jpg", "all", {}, {"mentions": mentions, "hallucinated": mentions[:1]})
    assert counted(both) == {"dog": "hallucinated", "puppy": "correct"}
    words = Score("1", "1.jpg", "all", {}, {"correct": ["cup"], "hallucinated": ["fork"]})
    assert counted(words) == {"cup": "correct", "fork": "hallucinated"}
    assert counted(Score("1", "1.jpg", "all", {}, {"answer": "yes"})) == {}


def test_evidence_of_another_shape_marks_nothing():
    """A suite of a user's own may mean something else by the names."""
    for evidence in (
        {"hallucinated": 3},
        {"hallucinated": "dog"},
        {"hallucinated": {"dog": 1}},
        {"hallucinated": None},
    ):
        assert counted(Score("1", "1.jpg", "all", {}, evidence)) == {}
    mixed = Score("1", "1.jpg", "all", {}, {"hallucinated": [["dog"], {"name": "cat"}, None, "cup"], "mentions": 7})
    assert counted(mixed) == {"cup": "hallucinated"}
