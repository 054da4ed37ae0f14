"""AMBER: 1,004 images, one description and about 14 yes/no questions each (Wang et al., 2023, arXiv 2311.07397).

Generative: the share of a description's nouns that hallucinate (`chair`), of descriptions that do (`hal`), of annotated
objects that are named (`cover`), and of likely hallucinations that are named (`cog`). Discriminative: accuracy, precision,
recall and F1 with "No" as the positive class. AMBER score = (1 - chair + f1) / 2.
Source: junyangwang0410/AMBER inference.py and data/.

    halbench score --suite amber --responses answers.json      a list of {"id": 1, "response": "..."}
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from halbench.data.datasets import Data
from halbench.files.records import content_hash, read_json
from halbench.responses.matching import match_by_id_or_question, match_by_order
from halbench.scoring_tools import yes_no
from halbench.scoring_tools.language import Language, open_language
from halbench.scoring_tools.ratios import (
    divide,
    hallucinated_mentions,
    hallucinated_texts,
    length,
    named_share,
    ratio_metric,
)
from halbench.scoring_tools.word_similarity import SIMILARITY, table_similarity
from halbench.types import Decoding, Extremes, Item, Judgement, Metric, Response, ResponseRow, Score, Suite, Task

GROUP_OF_TYPE = {
    "generative": "generative",
    "discriminative-hallucination": "existence",
    "discriminative-attribute-state": "state",
    "discriminative-attribute-number": "number",
    "discriminative-attribute-action": "action",
    "discriminative-relation": "relation",
    "relation": "relation",
}
ATTRIBUTE = ("state", "number", "action")
DISCRIMINATIVE = ("existence", *ATTRIBUTE, "relation")
PARTS = {
    "all": ("generative", *DISCRIMINATIVE),
    "generative": ("generative",),
    "discriminative": DISCRIMINATIVE,
    "existence": ("existence",),
    "attribute": ATTRIBUTE,
    "relation": ("relation",),
}
"""The authors' query files and the item groups in each."""


@dataclass(frozen=True)
class Options:
    """similarity: which other words match an annotated one: none ("exact"), similar ones by "spacy" (en_core_web_lg, as in
    the official script; computed once and cached) or by a table FILE. answers: how `value` reads
    Yes and No, by our rule ("lenient") or by the official one ("strict"), which the official column always follows. part: which of the authors' query files; "auto" is all, or those that a response file answers.
    """

    similarity: str = "exact"
    answers: Literal["lenient", "strict"] = "lenient"
    part: Literal["auto", "all", "generative", "discriminative", "existence", "attribute", "relation"] = "auto"


@dataclass(frozen=True)
class Lexicon:
    """Word lists of the scorer. vocabulary: words that count. ignored: words that are never hallucinated.

    relations: word -> words that mean it. similar: word -> other words closer than SIMILAR.
    """

    vocabulary: frozenset[str]
    ignored: frozenset[str]
    relations: Mapping[str, Sequence[str]]
    similar: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Slots:
    """Annotated words of an image, each a slot, and the words that mark a slot, in the official order."""

    words: Sequence[str]
    markers: Mapping[str, int]

    @staticmethod
    def of(words: Sequence[str], relations: Mapping[str, Sequence[str]]) -> "Slots":
        # A marker of several slots marks the first that lists it, and related words come before the annotated words
        # themselves: in the official script, 349 truth words mark another word's slot.
        markers: dict[str, int] = {}
        for slot, word in enumerate(words):
            for related in relations[word]:
                markers.setdefault(related, slot)
        for slot, word in enumerate(words):
            markers.setdefault(word, slot)
        return Slots(words, markers)

    def first_similar(self, noun: str, similar: frozenset[str]) -> int | None:
        """Slot of the first marker that is the noun or similar to it; None if there is none."""
        return next((slot for marker, slot in self.markers.items() if marker == noun or marker in similar), None)


def load(data: Data, options: Options, rows: Sequence[ResponseRow] | None) -> Task:
    items = read_items(data, options.part, rows)
    identity: dict[str, str] = {"answers": options.answers}
    language, lexicon, truths = None, None, {}
    if any(item.group == "generative" for item in items):
        language = open_language(data)
        lexicon = open_lexicon(data, options.similarity)
        pairs = sorted(f"{a} {b}" for a, words in lexicon.similar.items() for b in words)
        similarity = options.similarity if options.similarity in SIMILARITY else "table"
        identity |= {
            **language.identity(),
            "words": content_hash([sorted(lexicon.vocabulary), sorted(lexicon.ignored), lexicon.relations], 8),
            "similarity": similarity if similarity == "exact" else f"{similarity}-{content_hash(pairs, 8)}",
        }
        truths = {
            item.id: (
                Slots.of(item.truth["truth"], lexicon.relations),
                Slots.of(item.truth["hallu"], lexicon.relations),
            )
            for item in items
            if item.group == "generative"
        }
    read = yes_no.read_strict if options.answers == "strict" else yes_no.read_lenient

    def score(item: Item, response: Response, judgement: Judgement | None) -> Score:
        if item.group == "generative":
            assert language is not None
            assert lexicon is not None
            nouns = description_nouns(response.text, language)
            return score_description(item, nouns, len(response.text.split()), *truths[item.id], lexicon)
        return score_question(item, response.text, read)

    return Task(items, score, identity, extremes=extremes)


def read_items(data: Data, part: str, rows: Sequence[ResponseRow] | None) -> list[Item]:
    """Queries joined with annotations, of the chosen part."""
    queries, annotations = (
        read_json(data.file("amber/query/query_all.json")),
        read_json(data.file("amber/annotations.json")),
    )
    truth = {row["id"]: row for row in annotations}
    images = data.image_folder("amber")
    items = []
    for query in queries:
        row = truth[query["id"]]
        group = GROUP_OF_TYPE[row["type"]]
        answer = {"truth": row["truth"], "hallu": row["hallu"]} if group == "generative" else row["truth"]
        items.append(Item(str(query["id"]), (images / query["image"],), query["query"], answer, group))
    if part == "auto" and rows is not None:
        ids = set(match(items, rows))
        answered = {item.group for item in items if item.id in ids}
        chosen = {
            group
            for groups in (PARTS["generative"], PARTS["existence"], ATTRIBUTE, PARTS["relation"])
            if answered & set(groups)
            for group in groups
        }
    else:
        chosen = set(PARTS["all" if part == "auto" else part])
    return [item for item in items if item.group in chosen]


def open_lexicon(data: Data, similarity: str) -> Lexicon:
    """AMBER's word lists and the chosen similarity."""
    relations: dict[str, list[str]] = read_json(data.file("amber/relation.json"))
    vocabulary = frozenset(relations) | frozenset(itertools.chain.from_iterable(relations.values()))
    ignored = frozenset(data.file("amber/safe_words.txt").read_text(encoding="utf-8").split("\n"))
    compute = SIMILARITY.get(similarity)
    similar = compute(data, vocabulary) if compute else table_similarity(Path(similarity), vocabulary)
    return Lexicon(vocabulary, ignored, relations, similar)


def description_nouns(text: str, language: Language) -> list[str]:
    """Base forms of a description's nouns; case is kept, since officially "Sky" is not "sky"."""
    return [language.lemma(word) for word, tag in language.tags(language.tokens(text)) if tag.startswith("NN")]


def score_description(
    item: Item, nouns: Sequence[str], words: int, safe: Slots, hallu: Slots, lexicon: Lexicon
) -> Score:
    """Counts of one description from its nouns and number of words; the tests are in the official script's order."""
    counted = [noun for noun in nouns if noun in lexicon.vocabulary]
    covered, expected, hallucinated, correct = set(), set(), [], []
    for noun in counted:
        if noun in lexicon.ignored:
            continue
        if noun in safe.markers:
            covered.add(safe.markers[noun])
            correct.append(noun)
            continue
        similar = lexicon.similar.get(noun, frozenset())
        if noun in hallu.markers:
            expected.add(hallu.markers[noun])
        near_hallu, near_safe = hallu.first_similar(noun, similar), safe.first_similar(noun, similar)
        if near_hallu is not None:
            expected.add(near_hallu)
        if near_safe is not None:
            covered.add(near_safe)
            correct.append(noun)
        else:
            hallucinated.append(noun)
    counts = {
        "descriptions": 1,
        "descriptions_hallucinated": bool(hallucinated),
        "nouns": len(counted),
        "nouns_hallucinated": len(hallucinated),
        "truth_slots": len(safe.words),
        "truth_covered": len(covered),
        "hallu_slots": len(hallu.words),
        "hallu_named": len(expected),
        "words": words,
    }
    evidence = {
        "hallucinated": hallucinated,
        "correct": correct,
        "covered": [safe.words[slot] for slot in sorted(covered)],
        "expected_hallucinations": [hallu.words[slot] for slot in sorted(expected)],
    }
    return Score.of(item, counts, evidence, faults=len(hallucinated))


def score_question(item: Item, text: str, read: Callable[[str], yes_no.Answer | None]) -> Score:
    """Counts of one yes/no answer; "No" is the positive class. unread: neither yes nor no; unread_by_authors: nor exactly
    the word that their script expects."""
    truth: yes_no.Answer = "yes" if item.truth == "yes" else "no"
    answer, official = read(text), yes_no.read_strict(text)
    counts = yes_no.count_both(truth, answer, official, positive="no")
    counts |= {"unread": yes_no.read_lenient(text) is None, "unread_by_authors": official is None}
    evidence = {"truth": truth, "answer": answer, "official_answer": official}
    return Score.of(item, counts, evidence, faults=truth != answer)


def extremes(item: Item) -> Extremes:
    """What an answer can count at best and at worst; the number of nouns has no limit."""
    if item.group != "generative":
        right_or_wrong = yes_no.extremes("yes" if item.truth == "yes" else "no", positive="no")
        return Extremes(
            {**right_or_wrong.best, "unread_by_authors": 0}, {**right_or_wrong.worst, "unread_by_authors": 1}
        )
    truth, hallu = len(item.truth["truth"]), len(item.truth["hallu"])
    slots = {"descriptions": 1, "truth_slots": truth, "hallu_slots": hallu}
    return Extremes(
        {**slots, "descriptions_hallucinated": 0, "truth_covered": truth, "hallu_named": 0},
        {**slots, "descriptions_hallucinated": 1, "truth_covered": 0, "hallu_named": hallu},
    )


def match(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str]:
    """Rows by AMBER's id, or by image and question if the ids are another harness's. lmms-eval's log of amber_g has neither
    id nor image: its rows are the descriptions in their order."""
    if rows and rows[0].id is None and rows[0].image is None:
        described = [item for item in items if item.group == "generative"]
        by_order = match_by_order(described, rows, lambda item, row: _same_truth(item, row.extra.get("target")))
        if by_order is not None:
            return by_order
    return match_by_id_or_question(items, rows, "amber has ids 1..15220")


def _same_truth(item: Item, target: object) -> bool:
    """Whether the truth in an lmms-eval log ("['sky', 'forest']"), if there is one, is the item's."""
    return not isinstance(target, str) or all(word in target for word in item.truth["truth"])


# What inference.py prints. It starts every denominator at 0.001 and rounds percent to one decimal; F1 comes from the
# rounded precision and recall, with 0.001 (existence) or 0.0001 in its denominator.
def _printed(numerator: str, denominator: str) -> Callable[[Mapping[str, float], str], float]:
    return lambda counts, group: round(counts[numerator] / (counts[denominator] + 0.001) * 100, 1)


def _hal_printed(counts: Mapping[str, float], group: str) -> float:
    clean = counts["descriptions"] - counts["descriptions_hallucinated"]
    return round(100 - clean / (counts["descriptions"] + 0.001) * 100, 1)


def _f1_printed(counts: Mapping[str, float], group: str) -> float:
    precision = _printed("official_correct_positive", "official_answered_positive")(counts, group) / 100
    recall = _printed("official_correct_positive", "truth_positive")(counts, group) / 100
    return round(2 * precision * recall / (precision + recall + (0.001 if group == "existence" else 0.0001)) * 100, 1)


def _amber_score(counts: Mapping[str, Any]) -> Any:
    chair = divide(counts["nouns_hallucinated"], counts["nouns"])
    return (1 - chair + yes_no.f1(counts)) / 2


GENERATIVE = ("generative",)
QUESTION_GROUPS = ("discriminative", "existence", "attribute", "state", "number", "action", "relation")

SUITE = Suite(
    name="amber",
    version="1",
    title="AMBER",
    options=Options,
    decoding=Decoding(max_new_tokens=512),
    metrics=(
        hallucinated_mentions(
            "chair",
            "nouns_hallucinated",
            "nouns",
            groups=GENERATIVE,
            official=_printed("nouns_hallucinated", "nouns"),
            label="CHAIR",
            companions=("cover", "length"),
            margin=0.01,
            published="chair",
        ),
        named_share(
            "cover",
            "truth_covered",
            "truth_slots",
            groups=GENERATIVE,
            official=_printed("truth_covered", "truth_slots"),
            published="cover",
        ),
        hallucinated_texts(
            "hal",
            "descriptions_hallucinated",
            "descriptions",
            groups=GENERATIVE,
            official=_hal_printed,
            companions=("cover", "length"),
            margin=0.04,
            published="hal",
        ),
        ratio_metric(
            "cog",
            "hallu_named",
            "hallu_slots",
            "lower",
            groups=GENERATIVE,
            official=_printed("hallu_named", "hallu_slots"),
            main=GENERATIVE,
            companions=("cover", "length"),
            margin=0.01,
            published="cog",
            description="share of annotated likely hallucinations that are mentioned",
        ),
        length("descriptions", groups=GENERATIVE),
        *yes_no.metrics(
            QUESTION_GROUPS,
            official={
                "accuracy": _printed("official_correct", "questions"),
                "precision": _printed("official_correct_positive", "official_answered_positive"),
                "recall": _printed("official_correct_positive", "truth_positive"),
                "f1": _f1_printed,
            },
            main=("discriminative",),
        ),
        yes_no.unread_metric(QUESTION_GROUPS),
        yes_no.unread_metric(QUESTION_GROUPS, "unread_by_authors"),
        Metric(
            "amber_score",
            _amber_score,
            "higher",
            label="AMBER score",
            main=("all",),
            companions=("generative/cover", "generative/length"),
            published="amber_score",
        ),
    ),
    groups={
        "generative": ("generative",),
        "discriminative": DISCRIMINATIVE,
        "existence": ("existence",),
        "attribute": ATTRIBUTE,
        "state": ("state",),
        "number": ("number",),
        "action": ("action",),
        "relation": ("relation",),
        "all": PARTS["all"],
    },
    load=load,
    match=match,
    truth_labels={"hallu": "likely hallucinations, as annotated"},
)
