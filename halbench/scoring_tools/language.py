"""The text pipeline of the scorers: NLTK tokens, tags and WordNet lemmas, with an identity for the signature.

The numbers of the official CHAIR and AMBER scripts depend on this pipeline, so each score's signature has a hash of its
resources and says how NLTK behaves: tokens and tags of fixed sentences. A version that gives those of 3.9.1 is signed as 3.9.1,
as 3.9.2 to 3.9.4 are, any other with its own name and hash: 3.10 splits words after a quotation mark differently.

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
from halbench.files.records import content_hash

BEHAVIOUR = {"7eb2fc2c": "3.9.1"}
"""Hash of tokens and tags of SENTENCES, with the pinned resources -> the version that the signature names."""
SENTENCES = (
    "Two dogs don't sit on the bench; they're lying next to Mr. Smith's red car.",
    "The sign says \"STOP\" -- in white letters -- and ``EXIT'' below. It's 3.5 m wide (approx. 10 ft.), isn't it?",
    "A man\u2019s \u201chot dog\u201d lies on the table\u2014next to a cup\u2026 There is no fork, e.g. for cake!",
    "'Tis a half-eaten pizza, and the \u2018dining table\u2019 can't be seen...The children's toys cost $5,000.00 & 20%.",
    "In the background, several people are standing near a bus-stop\u2013some holding umbrellas, others gonna leave at 5 p.m. today.",
    "The image features: 1) a cat, 2) a TV/monitor, [and] 3) \u00ab une tasse \u00bb @ home; see http://example.org/a?b=c.",
    "She'd've cannot gimme wanna \u201elow\u201f quotes `back` ticks, dashes - \u2010 \u2011 \u2012 \u2015 and \u2032primes\u2033.",
    "A skateboarder flips his board.\nA traffic light glows green ,while stop signs , a parking meter and hot-dogs appear .",
)

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


class WordTokenizer(NLTKWordTokenizer):  # type: ignore[misc]
    """NLTK's, without the rule by which it splits words at dashes from 3.9.4 on."""

    PUNCTUATION = [rule for rule in NLTKWordTokenizer.PUNCTUATION if not rule[0].search("a\u2014b")]  # noqa: RUF012


class Language:
    """English tokens, part-of-speech tags and lemmas, exactly as NLTK gives them. punkt, tagger, wordnet: resource paths."""

    def __init__(self, punkt: Path, tagger: Path, wordnet: Path) -> None:
        self._sources = {"punkt": punkt, "tagger": tagger, "wordnet": wordnet}
        self._words = WordTokenizer()
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
        """The version that NLTK behaves like, and a hash of the resources' contents (equal for a zip archive and its
        unpacked folder)."""
        digest = hashlib.sha256()
        punkt = read_members(self._sources["punkt"], PUNKT_FILES)
        # These files are sets of lines, published in no particular order.
        punkt = {name: b"\n".join(sorted(content.split(b"\n"))) for name, content in punkt.items()}
        for members in (punkt, read_members(self._sources["tagger"], TAGGER_FILES), self._wordnet):
            for name in sorted(members):
                digest.update(name.encode() + b"\0" + hashlib.sha256(members[name]).digest())
        behaviour = content_hash([self.tags(self.tokens(text)) for text in SENTENCES], 8)
        return {
            "nltk": BEHAVIOUR.get(behaviour, f"{nltk.__version__}-{behaviour}"),
            "nltk_data": digest.hexdigest()[:8],
        }

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
