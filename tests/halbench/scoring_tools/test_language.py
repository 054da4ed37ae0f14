"""Tokens, tags and lemmas are NLTK's, and their identity is that of their contents."""

import zipfile

from halbench.scoring_tools.language import Language, open_language


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
