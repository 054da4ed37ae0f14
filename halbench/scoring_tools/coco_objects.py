"""Caption -> COCO objects, as CHAIR finds them.

    caption_words("Two dogs near a hot dog.", "wordnet", language) -> ["two", "dog", "near", "a", "hot", "dog", "."]
    mentions(those words, vocabulary)                              -> [Mention("dog", "dog", 1), Mention("hot dog", "hot dog", 4)]

Source: LisaAnne/Hallucination utils/chair.py, and the copies in shikiw/OPERA and RLHF-V/RLHF-V. Their oddities are kept:
two synonyms with a leading space and one with a capital never match, WordNet turns "seated" into seat -> chair and "tied"
into tie, and "home plate" and "train track" are merged on purpose into words that are not objects.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from halbench.errors import InputError
from halbench.scoring_tools.language import Language

# Two-word names that the official scripts merge although they are not in the synonym list.
MERGED_TO_NOTHING = ("home plate", "train track")
YOUNG_OR_GROWN = (
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "animal",
    "cub",
)
PASSENGER = ("jet", "train")
READ_AS = {"bow tie": "tie", "toilet seat": "toilet", "wine glas": "wine glass"}

# The two-word names in CHAIR's script; RLHF-V's script uses all names of two or more words in its own synonym list.
CHAIR_TWO_WORDS = (
    "motor bike", "motor cycle", "air plane", "traffic light", "street light", "traffic signal", "stop light",
    "fire hydrant", "stop sign", "parking meter", "suit case", "sports ball", "baseball bat", "baseball glove",
    "tennis racket", "wine glass", "hot dog", "cell phone", "mobile phone", "teddy bear", "hair drier", "potted plant",
    "bow tie", "laptop computer", "stove top oven", "hot dog", "teddy bear", "home plate", "train track",
)  # fmt: skip

PENN_TO_WORDNET = {"J": "a", "V": "v", "N": "n", "R": "r"}


@dataclass(frozen=True)
class Mention:
    """One mention of a COCO object. word: after merging; position: index of its first token in the caption."""

    word: str
    category: str
    position: int


@dataclass(frozen=True)
class Vocabulary:
    """category: synonym -> one of the 80 classes. two_words: two-word name -> the word it is read as."""

    category: Mapping[str, str]
    two_words: Mapping[str, str]


def open_vocabulary(path: Path, two_words: Sequence[str] | None = CHAIR_TWO_WORDS) -> Vocabulary:
    """The vocabulary in a synonym file (one class per line, names separated by ", "). two_words None: all listed names with
    a space."""
    category: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        names = line.strip().split(", ")
        if not names[0]:
            raise InputError(f"{path}:{number}: expected 'class, synonym, ...', found an empty line")
        category.update(dict.fromkeys(names, names[0]))
    listed = [name for name in category if " " in name.strip()] if two_words is None else list(two_words)
    merged = {name: name for name in (*listed, *MERGED_TO_NOTHING)}
    merged |= {f"{age} {animal}": animal for animal in YOUNG_OR_GROWN for age in ("baby", "adult")}
    merged |= {f"passenger {vehicle}": vehicle for vehicle in PASSENGER}
    return Vocabulary(category, merged | READ_AS)


def caption_words(caption: str, mode: str, language: Language) -> list[str]:
    """Lower-case base forms of a caption's tokens.

    mode "wordnet": WordNet lemma by the tag's part of speech (OPERA); "pattern": Pattern's singular (LisaAnne/Hallucination);
    "nouns": WordNet lemma of each token as a noun (RLHF-V).
    """
    return BASE_FORMS[mode](language.tokens(caption.lower()), language)


def _by_part_of_speech(tokens: list[str], language: Language) -> list[str]:
    return [language.lemma(token, PENN_TO_WORDNET.get(tag[0], "n")) for token, tag in language.tags(tokens)]


def _singular(tokens: list[str], language: Language) -> list[str]:
    return [pattern_singular(token) for token in tokens]


def _as_nouns(tokens: list[str], language: Language) -> list[str]:
    return [language.lemma(token) for token in tokens]


BASE_FORMS: Mapping[str, Callable[[list[str], Language], list[str]]] = {
    "wordnet": _by_part_of_speech,
    "pattern": _singular,
    "nouns": _as_nouns,
}


@cache
def pattern_singular(word: str) -> str:
    """Pattern's `singularize`; textblob carries the same function and is still maintained."""
    from textblob.en.inflect import singularize

    return str(singularize(word))


def merge_two_words(words: Sequence[str], vocabulary: Vocabulary) -> list[tuple[str, int]]:
    """(word, position of its first token), two-word names merged greedily from the left."""
    merged, position = [], 0
    while position < len(words):
        pair = " ".join(words[position : position + 2])
        name = vocabulary.two_words.get(pair)
        merged.append((words[position] if name is None else name, position))
        position += 1 if name is None else 2
    return merged


def mentions(words: Sequence[str], vocabulary: Vocabulary) -> list[Mention]:
    """The COCO objects mentioned in a caption, in order, with repeats."""
    return categorised(merge_two_words(words, vocabulary), vocabulary)


def categorised(words: Sequence[tuple[str, int]], vocabulary: Vocabulary) -> list[Mention]:
    """Mentions among merged words."""
    # "The seat of the toilet" is not a chair: if both words occur, the official script drops every "seat".
    dropped = {"seat"} if {"toilet", "seat"} <= {word for word, _ in words} else set()
    return [
        Mention(word, vocabulary.category[word], position)
        for word, position in words
        if word in vocabulary.category and word not in dropped
    ]
