"""Which words of a caption name which COCO objects: hand-worked cases and the official oddities."""

import pytest

from halbench.coco_objects import caption_words, mentions, open_vocabulary, pattern_singular
from halbench.language import open_language


@pytest.fixture(scope="module")
def found(data):
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
def test_objects_of_a_caption(found, caption, objects):
    assert found(caption) == objects


def test_pattern_loses_the_bus_that_wordnet_keeps(found):
    assert found("A bus on the street.", "wordnet") == ["bus"]
    assert pattern_singular("bus") == "bu"
    assert found("A bus on the street.", "pattern") == []


def test_lemmas_are_those_of_nltk(data):
    from nltk.stem import WordNetLemmatizer

    language, nltk = open_language(data), WordNetLemmatizer()
    text = (data.root / "responses/chair/minigpt4_ours.jsonl").read_text()[:40_000].lower()
    words = {*language.tokens(text), "men", "axes", "better", "running", "geese", "ies", "s", "us", "glasses"}
    assert len(words) > 500
    assert [(w, p) for w in words for p in "nvar" if language.lemma(w, p) != nltk.lemmatize(w, p)] == []


def test_tokens_and_tags_are_those_of_nltk(data):
    import nltk

    language = open_language(data)
    text = "It's a dog's life. \"Quotes\" -- dashes... e.g. Mr. Smith can't go!"
    assert language.tokens(text) == nltk.word_tokenize(text)
    assert language.tags(language.tokens(text)) == nltk.pos_tag(nltk.word_tokenize(text))


def test_the_identity_of_the_language_is_that_of_its_contents_and_not_of_its_packing(data, tmp_path):
    import zipfile

    from halbench.language import Language

    resources = data.root / "nltk_data"
    packed = open_language(data).identity()
    with zipfile.ZipFile(resources / "corpora/wordnet.zip") as archive:
        archive.extractall(tmp_path)
    unpacked = Language(
        resources / "tokenizers/punkt_tab", resources / "taggers/averaged_perceptron_tagger_eng", tmp_path / "wordnet"
    )
    assert unpacked.identity() == packed
    (tmp_path / "wordnet/noun.exc").write_text("dogs cat\n")
    changed = Language(
        resources / "tokenizers/punkt_tab", resources / "taggers/averaged_perceptron_tagger_eng", tmp_path / "wordnet"
    )
    assert changed.identity() != packed
