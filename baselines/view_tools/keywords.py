"""The key objects of an answer, by weighted PageRank over its content words (MFPO, arXiv 2410.15334).

    keywords("A dog chases a red ball over the grass. The dog is fast.", language)  -> ("dog", "ball", "grass")

Published: the graph's weights combine position theta, cosine similarity of word vectors S and a decay kappa, and the
top K are kept. Ours: the combination (theta + gamma S) kappa and its constants, that kappa is of the word ranked, that
positions count content words, that only nouns are kept since only they can be seen in the image, and which nouns never
can. Also ours: without `--word-vectors` the similarity is that of the letters. It is never chosen by what is installed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from halbench.errors import InputError, MissingExtra
from halbench.scoring_tools.language import Language

GAMMA, PHI, LAMBDA, DAMPING, TOP = 0.5, 1.0, 0.1, 0.85, 3

PENN_TO_WORDNET = {"N": "n", "J": "a", "V": "v"}
AUXILIARIES = ("be", "have", "do")
# Nouns of descriptions that name the picture, an area of it or an amount. Ours.
NO_OBJECTS = (
    *("image", "picture", "photo", "photograph", "scene", "view", "background", "foreground", "side", "left", "right"),
    *("front", "back", "top", "bottom", "center", "centre", "middle", "edge", "corner", "part", "area", "distance"),
    *("group", "couple", "pair", "number", "variety", "color", "colour", "object", "item", "atmosphere", "setting"),
)


@dataclass(frozen=True)
class WordSimilarity:
    """Cosine similarity of two words, -1 to 1. name: identifies it in the keys of caches."""

    name: str
    cosine: Callable[[str, str], float]


def letter_similarity(one: str, other: str) -> float:
    """Cosine of the counts of letter triples, word boundaries included: 1 for the same word, 0 without a common
    triple."""
    counts, others = _triples(one), _triples(other)
    product = sum(times * others[triple] for triple, times in counts.items())
    return float(product / np.sqrt(sum(n * n for n in counts.values()) * sum(n * n for n in others.values())))


@lru_cache(maxsize=65536)
def _triples(word: str) -> Counter[str]:
    marked = f"^{word}$"
    return Counter(marked[start : start + 3] for start in range(len(marked) - 2))


LETTERS = WordSimilarity("letters", letter_similarity)


def word_vectors(name: str) -> WordSimilarity:
    """Similarity by the vectors of a spaCy model such as en_core_web_md; 0 for words that it does not know."""
    try:
        import spacy
    except ModuleNotFoundError as error:
        raise MissingExtra("word vectors need: pip install 'halbench[spacy]' (no module 'spacy')") from error
    try:
        vocabulary: Any = spacy.load(name).vocab
    except OSError as error:
        raise InputError(
            f"word vectors: spaCy has no model '{name}'; get it with: python -m spacy download {name}"
        ) from error
    if not vocabulary.vectors_length:
        raise InputError(f"word vectors: spaCy's '{name}' has none; expected a model such as en_core_web_md")

    def cosine(one: str, other: str) -> float:
        known = vocabulary.has_vector(one) and vocabulary.has_vector(other)
        return float(vocabulary[one].similarity(vocabulary[other])) if known else 0.0

    return WordSimilarity(f"{name} {vocabulary.vectors.shape}", cosine)


def keywords(text: str, language: Language, similarity: WordSimilarity = LETTERS, top: int = TOP) -> tuple[str, ...]:
    """Lemmas of the highest-ranked nouns, best first; fewer where the text has fewer."""
    words = content_words(text, language)
    nouns = {word for word, tag in words if tag == "N"}
    ranks = rank([word for word, _ in words], similarity.cosine)
    best = sorted((word for word in ranks if word in nouns - set(NO_OBJECTS)), key=lambda word: -ranks[word])
    return tuple(best[:top])


def content_words(text: str, language: Language) -> list[tuple[str, str]]:
    """(lemma, first letter of its Penn tag) of nouns, adjectives and verbs, in their order. A noun right before another
    one only describes it ("tennis" racket, "orange" bird) and counts as an adjective."""
    tagged = [(word.lower(), tag[0]) for word, tag in language.tags(language.tokens(text))]
    words = []
    for (word, tag), (_, following) in pairwise([*tagged, ("", "")]):
        if tag in PENN_TO_WORDNET and word[0].isalpha():
            lemma = language.lemma(word, PENN_TO_WORDNET[tag])
            words.append((lemma, "J" if tag == following == "N" else tag))
    return [(word, tag) for word, tag in words if word not in AUXILIARIES]


def rank(words: Sequence[str], cosine: Callable[[str, str], float]) -> Mapping[str, float]:
    """PageRank of each distinct word, in order of first appearance; the ranks sum to 1."""
    positions: dict[str, list[int]] = {}
    for position, word in enumerate(words):
        positions.setdefault(word, []).append(position)
    names, count = list(positions), len(positions)
    weights = np.zeros((count, count))
    for i, word in enumerate(names):
        for j, other in enumerate(names[:i]):
            theta = sum(1 / (1 + abs(one - two) ** PHI) for one in positions[word] for two in positions[other])
            weights[i, j] = weights[j, i] = max(theta + GAMMA * cosine(word, other), 0.0)
    weights *= np.exp(-LAMBDA * np.array([[positions[name][0]] for name in names])) if names else 1
    return dict(zip(names, page_rank(weights).tolist(), strict=True))


def page_rank(weights: np.ndarray) -> np.ndarray:
    """Stationary distribution [N] of a walk that goes from j to i with probability proportional to weights[i, j], and
    restarts anywhere with probability 1 - DAMPING. From a node without edges it always restarts."""
    count = len(weights)
    if not count:
        return np.zeros(0)
    totals = weights.sum(0)
    steps = np.where(totals > 0, weights / np.where(totals > 0, totals, 1), 1 / count)
    return np.linalg.solve(np.eye(count) - DAMPING * steps, np.full(count, (1 - DAMPING) / count))
