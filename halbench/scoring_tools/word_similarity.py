"""Which words of a vocabulary are similar: none, those of a table, or those with close spaCy vectors."""

import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from halbench.data.datasets import Data
from halbench.errors import InputError, MissingExtra
from halbench.files.records import read_json, write_json

SIMILAR = 0.8  # inference.py --similarity_score


def no_similarity(data: Data, vocabulary: frozenset[str]) -> dict[str, frozenset[str]]:
    """No two different words are similar."""
    return {}


def table_similarity(path: Path, vocabulary: frozenset[str]) -> dict[str, frozenset[str]]:
    """Similar words from a table file: {"similar_pairs": [["tv", "television", 0.93], ...]}."""
    if not path.is_file():
        raise InputError(f"similarity={path}: no such file; expected exact, spacy or a table file")
    table = read_json(path)
    pairs = table.get("similar_pairs") if isinstance(table, dict) else None
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise InputError(f'{path}: expected {{"similar_pairs": [[word, word, similarity], ...]}}')
    similar: dict[str, set[str]] = {}
    for first, second, value in pairs:
        if value > SIMILAR:
            similar.setdefault(first, set()).add(second)
            similar.setdefault(second, set()).add(first)
    return {word: frozenset(words & vocabulary) for word, words in similar.items() if word in vocabulary}


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list) and [type(part) for part in pair] in ([str, str, float], [str, str, int])


def spacy_similarity(data: Data, vocabulary: frozenset[str]) -> dict[str, frozenset[str]]:
    """Similar words by spaCy's en_core_web_lg, cached as a table file.

    Both words of each comparison are in AMBER's 418-word vocabulary, so one table replaces every pipeline call.
    """
    name = "en_core_web_lg"
    try:
        import spacy

        pipeline = spacy.load(name)
    except (ImportError, OSError) as error:
        raise MissingExtra(
            f"similarity=spacy needs: pip install 'halbench[spacy]' && python -m spacy download {name}"
        ) from error
    version = f"{name}-{pipeline.meta['version']}"
    path = data.made(f"amber/similarity_{version}.json")
    with suppress(InputError):  # missing or unreadable: it is made again
        return table_similarity(path, vocabulary)
    documents = {word: pipeline(word) for word in sorted(vocabulary)}
    pairs = [
        (first, second, float(documents[first].similarity(documents[second])))
        for first, second in itertools.combinations(documents, 2)
    ]
    write_json(path, {"model": version, "similar_pairs": [pair for pair in pairs if pair[2] > SIMILAR]})
    return table_similarity(path, vocabulary)


SIMILARITY: Mapping[str, Callable[[Data, frozenset[str]], dict[str, frozenset[str]]]] = {
    "exact": no_similarity,
    "spacy": spacy_similarity,
}
