"""Which words of a caption name which COCO objects: hand-worked cases and the official oddities."""

import pytest

from halbench.scoring_tools.coco_objects import caption_words, mentions, open_vocabulary, pattern_singular
from halbench.scoring_tools.language import open_language


@pytest.fixture(scope="module")
def named(data):
    language, vocabulary = open_language(data), open_vocabulary(data.file("chair/synonyms.txt"))

    def categories(caption, mode="wordnet"):
        return [mention.category for mention in mentions(caption_words(caption, mode, language), vocabulary)]

    return categories


@pytest.mark.parametrize(
    ("caption", "objects"),
    [
        ("Two dogs and a dog near a puppy.", ["dog", "dog", "dog"]),
        ("A hot dog on a dining table.", ["hot dog", "dining table"]),
        ("A baby elephant beside an adult giraffe and a passenger train.", ["elephant", "giraffe", "train"]),
        ("Two wine glasses and a bow tie.", ["wine glass", "tie"]),
        ("The seat of the toilet.", ["toilet"]),
        ("A man seated on a bench.", ["person", "chair", "bench"]),
        ("A home plate by the train track.", []),
        ("", []),
    ],
    ids=["repeats stay", "two-word names", "young and grown", "plurals", "toilet seat", "seated is a chair", "no objects on purpose", "empty"],
)  # fmt: skip
def test_objects_of_a_caption(named, caption, objects):
    assert named(caption) == objects


def test_pattern_loses_the_bus_that_wordnet_keeps(named):
    assert named("A bus on the street.", "wordnet") == ["bus"]
    assert pattern_singular("bus") == "bu"
    assert named("A bus on the street.", "pattern") == []
