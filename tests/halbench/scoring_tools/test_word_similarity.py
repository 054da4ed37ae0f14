"""Similar words: none, those of a table, or those of spaCy's vectors, which are computed once."""

import json
import sys
from types import ModuleType

import pytest

from halbench.data.datasets import Data
from halbench.errors import InputError, MissingExtra
from halbench.scoring_tools.word_similarity import no_similarity, spacy_similarity, table_similarity

VOCABULARY = frozenset({"tv", "television", "cat"})
NEAR = {"tv": frozenset({"television"}), "television": frozenset({"tv"})}


def table(path, *pairs):
    path.write_text(json.dumps({"similar_pairs": [list(pair) for pair in pairs]}))
    return path


def test_without_similarity_only_the_same_word_matches(tmp_path):
    assert no_similarity(Data(tmp_path), VOCABULARY) == {}


def test_a_table_holds_both_ways_above_the_official_threshold_and_within_the_vocabulary(tmp_path):
    path = table(tmp_path / "t.json", ("tv", "television", 0.93), ("tv", "cat", 0.8), ("cat", "kitten", 0.9))
    assert table_similarity(path, VOCABULARY) == {**NEAR, "cat": frozenset()}


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"similar_pairs": [["tv", "cat"]]}', '{"similar_pairs": [["tv", "cat", "x"]]}']
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(InputError, match=r't\.json: expected {"similar_pairs"'):
        table_similarity(tmp_path / "t.json", VOCABULARY)


@pytest.fixture
def spacy(monkeypatch):
    """A stand-in for spaCy whose vectors are near for tv and television; counts how often a word is compared."""

    class Document(str):
        compared = 0

        def similarity(self, other):
            Document.compared += 1
            return 0.9 if {str(self), str(other)} == {"tv", "television"} else 0.1

    class Pipeline:
        meta = {"version": "3.8.0"}  # noqa: RUF012

        def __call__(self, word):
            return Document(word)

    module = ModuleType("spacy")
    module.load = lambda name: Pipeline()
    monkeypatch.setitem(sys.modules, "spacy", module)
    return Document


def test_spacy_s_table_is_computed_once_and_then_read(tmp_path, spacy):
    data = Data(tmp_path / "data", cache=tmp_path / "cache")
    assert spacy_similarity(data, VOCABULARY) == NEAR
    assert spacy.compared == 3
    assert spacy_similarity(data, VOCABULARY) == NEAR
    assert spacy.compared == 3
    assert not (tmp_path / "data").exists()  # which may be shared and read-only


@pytest.mark.parametrize("content", ["", '{"similar_pairs": [["tv", "telev', "{}"], ids=["empty", "half", "no table"])
def test_an_unreadable_cached_table_counts_as_absent(tmp_path, spacy, content):
    path = tmp_path / "amber/similarity_en_core_web_lg-3.8.0.json"
    path.parent.mkdir()
    path.write_text(content)
    assert spacy_similarity(Data(tmp_path), VOCABULARY) == NEAR
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert json.loads(path.read_text())["model"] == "en_core_web_lg-3.8.0"


def test_without_spacy_its_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(MissingExtra, match=r"pip install 'halbench\[spacy\]'"):
        spacy_similarity(Data(tmp_path), VOCABULARY)
