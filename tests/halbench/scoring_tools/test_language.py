"""Tokens, tags and lemmas are NLTK's, and their identity is that of their contents."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from paths import ROOT

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


def test_nltk_is_signed_by_its_behaviour_and_not_by_its_version(data, monkeypatch):
    import nltk

    language = open_language(data)
    monkeypatch.setattr(nltk, "__version__", "3.9.9")
    assert language.identity()["nltk"] == "3.9.1"
    monkeypatch.setattr(language, "_words", nltk.tokenize.WhitespaceTokenizer())
    assert language.identity()["nltk"].startswith("3.9.9-")


def test_a_dash_splits_no_word_as_in_nltk_3_9_1(data):
    assert open_language(data).tokens("a table\u2014next") == ["a", "table\u2014next"]


VERSIONS = os.environ.get("NLTK_VERSIONS", "")
CODE = """
import json, sys, nltk
from halbench.data.datasets import open_data
from halbench.scoring_tools.language import open_language
language = open_language(open_data())
texts = json.load(sys.stdin)
print(json.dumps([nltk.__version__, language.identity(), [language.tags(language.tokens(text)) for text in texts]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not VERSIONS, reason="needs NLTK_VERSIONS: folders made by pip install --target, separated by colons"
)
def test_versions_that_are_signed_alike_give_the_same_tokens_and_tags_of_real_answers(data):
    rows = json.loads((data.root / "responses/amber/llava15_7b__amber_g.json").read_text())[:200]
    texts = json.dumps([row["response"] for row in rows] + ["A cup\u2014red\u2013on 'a table'."])
    found = {}
    for folder in VERSIONS.split(":"):
        environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "HALBENCH_DATA": str(data.root)}
        done = subprocess.run(
            [sys.executable, "-c", CODE], input=texts, capture_output=True, text=True, env=environment
        )
        version, identity, tags = json.loads(done.stdout)
        assert found.setdefault(identity["nltk"], tags) == tags, version
    assert "3.9.1" in found
