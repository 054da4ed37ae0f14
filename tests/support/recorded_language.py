"""The text pipeline as it was recorded on some texts, for tests on machines without NLTK's resources.

language.json: {"identity": {...}, "texts": {text: [[token, tag], ...]}, "lemmas": {"n": {word: lemma}}}
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from halbench.scoring_tools.language import Language


class RecordingLanguage:
    """Passes calls on to the real pipeline and keeps what it said."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.texts: dict[str, list[list[str]]] = {}
        self.lemmas: dict[str, dict[str, str]] = {}

    def identity(self) -> dict[str, str]:
        return self.language.identity()

    def tokens(self, text: str) -> list[str]:
        tokens = self.language.tokens(text)
        self.texts[text] = [list(pair) for pair in self.language.tags(tokens)]
        return tokens

    def tags(self, tokens: list[str]) -> list[tuple[str, str]]:
        return self.language.tags(tokens)

    def lemma(self, word: str, pos: str = "n") -> str:
        lemma = self.language.lemma(word, pos)
        self.lemmas.setdefault(pos, {})[word] = lemma
        return lemma

    def save(self, path: Path) -> None:
        """Lemmas that are the word itself are left out."""
        lemmas = {pos: {w: lemma for w, lemma in words.items() if w != lemma} for pos, words in self.lemmas.items()}
        content = {"identity": self.identity(), "texts": self.texts, "lemmas": lemmas}
        path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


class RecordedLanguage:
    """Says what the real pipeline said of the recorded texts. Another text is split at spaces, and every word is a noun."""

    def __init__(self, path: Path) -> None:
        content: dict[str, Any] = json.loads(path.read_text())
        self._identity: dict[str, str] = content["identity"]
        self._texts = {text: [token for token, _ in pairs] for text, pairs in content["texts"].items()}
        self._tags = {
            tuple(token for token, _ in pairs): [(t, tag) for t, tag in pairs] for pairs in content["texts"].values()
        }
        self._lemmas: dict[str, dict[str, str]] = content["lemmas"]

    def identity(self) -> dict[str, str]:
        return self._identity

    def tokens(self, text: str) -> list[str]:
        return self._texts.get(text, text.split())

    def tags(self, tokens: Sequence[str]) -> list[tuple[str, str]]:
        return self._tags.get(tuple(tokens), [(token, "NN") for token in tokens])

    def lemma(self, word: str, pos: str = "n") -> str:
        return self._lemmas.get(pos, {}).get(word, word)
