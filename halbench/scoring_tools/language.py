"""The text pipeline of the scorers: NLTK tokens, tags and WordNet lemmas, with an identity for the signature.

The numbers of the official CHAIR and AMBER scripts depend on this pipeline and its version (NLTK 3.10 shifts CHAIRs by up
to 0.33 points), so the NLTK version and a hash of its resources are part of each score's signature.

    language = open_language(open_data())
    language.tags(language.tokens("Two dogs."))  -> [("Two", "CD"), ("dogs", "NNS"), (".", ".")]
    language.lemma("dogs")                       -> "dog"
"""

import hashlib
import zipfile
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import nltk
import numpy as np
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.tag.perceptron import AveragedPerceptron, PerceptronTagger
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktTokenizer

from halbench.data.datasets import Data
from halbench.errors import MissingData

PUNKT, TAGGER, WORDNET = "tokenizers/punkt_tab", "taggers/averaged_perceptron_tagger_eng", "corpora/wordnet"
PARTS_OF_SPEECH = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
# The files of each resource that tokens, tags and lemmas depend on.
PUNKT_FILES = [
    f"english/{name}" for name in ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")
]
TAGGER_FILES = [f"averaged_perceptron_tagger_eng.{name}.json" for name in ("classes", "tagdict", "weights")]
WORDNET_FILES = [name for pos in PARTS_OF_SPEECH.values() for name in (f"index.{pos}", f"{pos}.exc")]


@lru_cache(maxsize=4)
def open_language(data: Data) -> "Language":
    """The pipeline, loaded once per process. Resources: in NLTK_DATA, NLTK's usual folders, or `nltk_data/` of the data
    folder."""
    own = str(data.root / "nltk_data")
    if own not in nltk.data.path:
        nltk.data.path.append(own)
    return Language(*(_find(name) for name in (PUNKT, TAGGER, WORDNET)))


def _find(resource: str) -> Path:
    """Path of a resource's folder or zip archive (NLTK's downloader leaves WordNet zipped)."""
    for folder in nltk.data.path:
        for candidate in (Path(folder) / resource, Path(folder) / f"{resource}.zip"):
            if candidate.exists():
                return candidate
    raise MissingData(
        f"NLTK resource {resource.split('/')[1]} was not found where NLTK looks for its data (NLTK_DATA, if set, or {nltk.data.path[-1]}). "
        "Get it with: halbench data fetch nltk_data"
    )


class DensePerceptron(AveragedPerceptron):  # type: ignore[misc]
    """NLTK's trained perceptron on arrays, with the same sums in the same order: `predict` takes most of a caption's time."""

    def __init__(self, trained: AveragedPerceptron) -> None:
        super().__init__(trained.weights)
        self.classes = trained.classes
        # Among equal scores NLTK takes the label that sorts last, and argmax the first one.
        self._labels = sorted(trained.classes, reverse=True)
        self._index = {label: index for index, label in enumerate(self._labels)}
        self._row = lru_cache(maxsize=None)(self._weights_of)

    def _weights_of(self, feature: str) -> np.ndarray | None:
        weights = self.weights.get(feature)
        if weights is None:
            return None
        row = np.zeros(len(self._labels))
        row[[self._index[label] for label in weights]] = list(weights.values())
        return row

    def predict(self, features: dict[str, int], return_conf: bool = False) -> tuple[str, None]:
        scores = np.zeros(len(self._labels))
        for feature, times in features.items():
            row = self._row(feature)
            if row is not None:
                scores += times * row
        return self._labels[int(scores.argmax())], None


class Language:
    """English tokens, part-of-speech tags and lemmas, exactly as NLTK gives them. punkt, tagger, wordnet: resource paths."""

    def __init__(self, punkt: Path, tagger: Path, wordnet: Path) -> None:
        self._sources = {"punkt": punkt, "tagger": tagger, "wordnet": wordnet}
        self._words = NLTKWordTokenizer()
        self.lemma = lru_cache(maxsize=None)(self._lemma)

    @cached_property
    def _sentences(self) -> PunktTokenizer:
        return PunktTokenizer("english")

    @cached_property
    def _tagger(self) -> PerceptronTagger:
        tagger = PerceptronTagger()
        tagger.model = DensePerceptron(tagger.model)
        return tagger

    @cached_property
    def _wordnet(self) -> dict[str, bytes]:
        """The index and exception files of WordNet, by name."""
        return read_members(self._sources["wordnet"], WORDNET_FILES)

    @cached_property
    def _lexicon(self) -> dict[str, tuple[frozenset[str], dict[str, list[str]]]]:
        """Part of speech -> (lemmas in WordNet, exceptions). NLTK's own reader takes 1.3 s."""
        lexicon = {}
        for pos, name in PARTS_OF_SPEECH.items():
            # Lines of the licence text at the top start with a space and give the word "".
            lemmas = frozenset(line.split(" ", 1)[0] for line in self._wordnet[f"index.{name}"].decode().splitlines())
            exceptions = [line.split() for line in self._wordnet[f"{name}.exc"].decode().splitlines()]
            lexicon[pos] = (lemmas - {""}, {word: forms for word, *forms in exceptions})
        return lexicon

    def identity(self) -> dict[str, str]:
        """NLTK's version and a hash of the resources' contents (equal for a zip archive and its unpacked folder)."""
        digest = hashlib.sha256()
        punkt = read_members(self._sources["punkt"], PUNKT_FILES)
        # These files are sets of lines, published in no particular order.
        punkt = {name: b"\n".join(sorted(content.split(b"\n"))) for name, content in punkt.items()}
        for members in (punkt, read_members(self._sources["tagger"], TAGGER_FILES), self._wordnet):
            for name in sorted(members):
                digest.update(name.encode() + b"\0" + hashlib.sha256(members[name]).digest())
        return {"nltk": nltk.__version__, "nltk_data": digest.hexdigest()[:8]}

    def tokens(self, text: str) -> list[str]:
        """nltk.word_tokenize: punkt sentences, Treebank words."""
        return [token for sentence in self._sentences.tokenize(text) for token in self._words.tokenize(sentence)]

    def tags(self, tokens: list[str]) -> list[tuple[str, str]]:
        """nltk.pos_tag: (token, Penn Treebank tag)."""
        tagged: list[tuple[str, str]] = self._tagger.tag(tokens)
        return tagged

    def senses(self, noun: str) -> tuple[str, ...]:
        """WordNet's synsets of a noun, the most frequent first; () if there are none. Synonyms share a synset."""
        return self._senses.get(noun.replace(" ", "_"), ())

    @cached_property
    def _senses(self) -> dict[str, tuple[str, ...]]:
        """Synsets of every noun, from its line "lemma pos n p_cnt pointer... n tagged offset...", n offsets at the end."""
        lines = (line.split() for line in self._wordnet["index.noun"].decode().splitlines() if not line.startswith(" "))
        return {fields[0]: tuple(fields[-int(fields[2]) :]) for fields in lines}

    def _lemma(self, word: str, pos: str = "n") -> str:
        """NLTK's WordNetLemmatizer.lemmatize: the shortest possible lemma of the word, else the word itself."""
        lemmas, exceptions = self._lexicon[pos]
        if word in exceptions:
            forms = exceptions[word]
        else:
            rules = WordNetCorpusReader.MORPHOLOGICAL_SUBSTITUTIONS[pos]
            forms = [word[: -len(old)] + new for old, new in rules if word.endswith(old)]
        return min((form for form in [word, *forms] if form in lemmas), key=len, default=word)


def read_members(source: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Contents of files in a resource's folder or zip archive, by name."""
    try:
        if source.suffix == ".zip":
            with zipfile.ZipFile(source) as archive:
                return {name: archive.read(f"{source.stem}/{name}") for name in names}
        return {name: (source / name).read_bytes() for name in names}
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise MissingData(
            f"NLTK resource {source} is incomplete ({error}). Get it with: halbench data fetch nltk_data"
        ) from error
