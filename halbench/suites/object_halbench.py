"""Object HalBench: CHAIR over detailed answers to 8 prompts on 300 COCO images (Rohrbach et al., 2018; RLHF-V, arXiv 2312.00849).

`extraction` chooses where the object names come from, and is part of the signature:
  judge   an LLM lists the objects in each answer; the protocol of the papers (with `--judge`)
  stored  such lists from a response file, field "extract_objs" (a list of strings)
  words   the words of the answer, without an LLM: another metric, which some authors report
Papers print `response_hall` (hallucinated / answers that name a COCO object) and `object_hall`.

A judge may list what the answer does not say. Such names are counted as `not_in_answer`; a judge's list with more of them than
FOREIGN_LIMIT is a failed extraction, which is asked again and never scored. Stored lists are scored as they are, like officially.
Source: RLHF-V/RLHF-V eval/eval_gpt_obj_halbench.py and summarize_gpt_obj_halbench_review.py.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import cache
from typing import Literal

from halbench.data.datasets import Data
from halbench.errors import InputError, MissingExtra
from halbench.files.records import file_hash, read_jsonl
from halbench.responses.matching import image_key
from halbench.scoring_tools.coco_objects import (
    PENN_TO_WORDNET,
    Mention,
    Vocabulary,
    caption_words,
    categorised,
    mentions,
    merge_two_words,
    open_vocabulary,
    pattern_singular,
)
from halbench.scoring_tools.coco_truth import read_coco_truth
from halbench.scoring_tools.language import Language, open_language
from halbench.scoring_tools.ratios import (
    hallucinated_mentions,
    hallucinated_texts,
    length,
    named_share,
    percent_printed,
    ratio_metric,
)
from halbench.types import Decoding, Extremes, Item, Judgement, JudgeQuestion, Response, ResponseRow, Score, Suite, Task

FOREIGN_LIMIT = 0.5
"""Share of a judge's list that may be missing in the answer."""
FOUND = 2
"""COCO objects that we find in an answer from which an empty list is not believed."""

# (token, tag, lemma) of each token of a phrase.
Tagger = Callable[[str], list[tuple[str, str, str]]]


@dataclass(frozen=True)
class Options:
    """extraction: where object names come from (see above). lemmas: base forms of the extracted names by NLTK, or by spaCy's
    en_core_web_trf as in the official script."""

    extraction: Literal["words", "stored", "judge"] = "words"
    lemmas: Literal["nltk", "spacy"] = "nltk"


def load(data: Data, options: Options, rows: Sequence[ResponseRow] | None) -> Task:
    if options.extraction == "stored" and not any("extract_objs" in row.extra for row in rows or ()):
        raise InputError(
            "extraction=stored: expected rows with a field extract_objs (a list of object names), found none; use words or judge"
        )
    language = open_language(data)
    synonyms = data.file("object_halbench/synonyms_refine.txt")
    vocabulary = open_vocabulary(synonyms, two_words=None)
    # RLHF-V builds the truth with its own synonym list; on these 300 images the result equals CHAIR's WordNet build.
    truth = read_coco_truth(data.file("chair/coco2014_objects_wordnet.json.gz"))
    questions = data.file("object_halbench/questions_300.jsonl")
    images = data.image_folder("object_halbench")
    items = [
        Item(str(row["image_id"]), (images / row["image_file"],), row["question"], truth[str(row["image_id"])], "all")
        for _, row in read_jsonl(questions)
    ]
    identity = {**language.identity(), "synonyms": file_hash(synonyms, 8), "extraction": options.extraction}
    tagger: Tagger | None = None
    if options.extraction != "words":
        tagger, identity["lemmas"] = TAGGERS[options.lemmas](language)
    if options.extraction == "judge":
        identity["foreign_limit"] = f"{FOREIGN_LIMIT:g}"

    def score(item: Item, response: Response, judgement: Judgement | None) -> Score:
        text = response.text.replace("Assistant:", "").strip()  # as the official reader does
        if tagger is None:
            words = merge_two_words(caption_words(text, "nouns", language), vocabulary)
        else:
            objects = [] if is_short(text) else extracted_objects(response, judgement, options.extraction)
            if objects is None:
                reason = missing_list(options.extraction, judgement)
                return Score.of(item, {}, state="unscored", error=f"no object list: {reason}")
            foreign = not_in_answer(objects, text, vocabulary, language)
            evidence = {"extracted": objects, "not_in_answer": foreign}
            if options.extraction == "judge" and too_many(foreign, objects):
                reason = "unparsable reply, most of whose objects are not in the answer"
                return Score.of(item, {}, evidence, "unscored", f"no object list: {reason}")
            names = object_names(objects, vocabulary.two_words, tagger)
            words = [(name, index) for index, name in enumerate(names)]
            return score_answer(item, text, categorised(words, vocabulary), evidence)
        return score_answer(item, text, categorised(words, vocabulary), {})

    def found(text: str) -> Sized:
        return categorised(merge_two_words(caption_words(text, "nouns", language), vocabulary), vocabulary)

    def question(item: Item, response: Response) -> Mapping[str, str] | None:
        text = response.text.replace("Assistant:", "").strip()
        return None if is_short(text) else {"question": item.prompt, "answer": text}

    def readable(reply: str, values: Mapping[str, str]) -> bool:
        objects, answer = parse_object_list(reply), values["answer"]
        if not objects:  # believed only of an answer in which we find hardly any either
            return objects is not None and len(found(answer)) < FOUND
        return not too_many(not_in_answer(objects, answer, vocabulary, language), objects)

    extract = JudgeQuestion("object_extraction", "system", question, readable)
    judge = extract if options.extraction == "judge" else None
    return Task(items, score, identity, judge=judge, extremes=extremes)


def is_short(text: str) -> bool:
    """Whether an answer has at most three words; officially such answers have no objects, and need no judge."""
    return len(text.split()) <= 3


def extracted_objects(response: Response, judgement: Judgement | None, extraction: str) -> list[str] | None:
    """The object list of an answer; None if there is none."""
    if extraction == "judge":
        return parse_object_list(judgement.reply) if judgement is not None and judgement.state == "ok" else None
    stored = response.extra.get("extract_objs")
    return stored if isinstance(stored, list) and all(isinstance(name, str) for name in stored) else None


def missing_list(extraction: str, judgement: Judgement | None) -> str:
    """Why there is no object list."""
    if extraction == "stored":
        return "the row has no list of names in extract_objs"
    if judgement is None:
        return "not judged; add --judge MODEL or --judgements FILE"
    return judgement.error or judgement.state if judgement.state == "error" else f"{judgement.state} reply"


def not_in_answer(objects: Sequence[str], answer: str, vocabulary: Vocabulary, language: Language) -> list[str]:
    """The extracted names that an answer does not contain: neither their last word, in any inflection, nor another name of
    the same COCO object."""

    # WordNet knows "men" as a word of its own, and Pattern's rules do not know "oxen".
    forms: Sequence[Callable[[str], str]] = (language.lemma, pattern_singular)

    def words(text: str) -> list[str]:
        return re.findall(r"\w+", text.lower())

    def base_forms(tokens: Sequence[str]) -> set[str]:
        return {form(token) for form in forms for token in tokens}

    def categories(text: str) -> set[str]:
        return {
            mention.category for form in forms for mention in mentions([form(word) for word in words(text)], vocabulary)
        }

    said, said_categories = base_forms(words(answer)), categories(answer)
    return [name for name in objects if not (said & base_forms(words(name)[-1:]) or said_categories & categories(name))]


def too_many(foreign: Sequence[str], objects: Sequence[str]) -> bool:
    """Whether a judge's list is about something else than the answer."""
    return len(foreign) > FOREIGN_LIMIT * len(objects)


def object_names(objects: Sequence[str], two_words: Mapping[str, str], tagger: Tagger) -> list[str]:
    """Base forms of extracted object names, without repeats: the known two-word names in each, else its runs of nouns."""
    names: list[str] = []
    for name in objects:
        tokens = tagger(f"a {name}")
        lemmas = [lemma for _, _, lemma in tokens]
        merged, position = [], 0
        while position < len(lemmas):
            pair = two_words.get(" ".join(lemmas[position : position + 2]))
            merged += [pair] if pair else []
            position += 2 if pair else 1
        names += merged or noun_runs(tokens)
    return list(dict.fromkeys(names))


def noun_runs(tokens: Sequence[tuple[str, str, str]]) -> list[str]:
    """Longest runs of nouns, as base forms: "a dog in the red living room" -> ["dog", "living room"]."""
    runs: list[list[str]] = [[]]
    for _, tag, lemma in tokens:
        if tag in ("NN", "NNS", "NNP", "NNPS"):
            runs[-1].append(lemma)
        elif runs[-1]:
            runs.append([])
    return [" ".join(run) for run in runs if run]


def _nltk_tagger(language: Language) -> tuple[Tagger, str]:
    @cache
    def tag(phrase: str) -> list[tuple[str, str, str]]:
        tagged = language.tags(language.tokens(phrase))
        return [(token, tag, language.lemma(token, PENN_TO_WORDNET.get(tag[0], "n"))) for token, tag in tagged]

    return tag, "nltk"


def _spacy_tagger(language: Language) -> tuple[Tagger, str]:
    name = "en_core_web_trf"
    try:
        import spacy

        pipeline = spacy.load(name)
    except (ImportError, OSError) as error:
        raise MissingExtra(
            f"lemmas=spacy needs: pip install 'halbench[spacy]' spacy-curated-transformers && python -m spacy download {name}"
        ) from error

    @cache
    def tag(phrase: str) -> list[tuple[str, str, str]]:
        return [(token.text, token.tag_, token.lemma_) for token in pipeline(phrase)]

    return tag, f"{name}-{pipeline.meta['version']}"


TAGGERS = {"nltk": _nltk_tagger, "spacy": _spacy_tagger}


def score_answer(
    item: Item,
    text: str,
    named: Sequence[Mention],
    extraction: Mapping[str, Sequence[str]],
) -> Score:
    """Counts of one answer from the COCO objects it names. extraction: evidence about an object list, if there is one."""
    hallucinated = [mention for mention in named if mention.category not in item.truth]
    counts = {
        "answers": 1,
        "answers_with_object": bool(named),
        "answers_hallucinated": bool(hallucinated),
        "mentions": len(named),
        "mentions_hallucinated": len(hallucinated),
        "truth_objects": len(item.truth),
        "truth_named": len({mention.category for mention in named} & set(item.truth)),
        "words": len(text.strip().split(" ")),
        **{name: len(extraction.get(name, ())) for name in ("extracted", "not_in_answer")},
    }
    evidence = {"mentions": named, "hallucinated": hallucinated, "truth": item.truth, **extraction}
    return Score.of(item, counts, evidence, faults=len(hallucinated))


def extremes(item: Item) -> Extremes:
    """What an answer can count at best and at worst; the number of mentions has no limit."""
    answers = {"answers": 1, "answers_with_object": 1, "truth_objects": len(item.truth)}
    return Extremes(
        {**answers, "answers_hallucinated": 0, "truth_named": len(item.truth)},
        {**answers, "answers_hallucinated": 1, "truth_named": 0},
    )


def match(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str]:
    """The question about each row's image."""
    known = {item.id for item in items}
    ids = []
    for row in rows:
        key = image_key(row.image) if row.image is not None else row.id
        if key is None:
            raise InputError(f"line {row.line}: no field image_id (or image) that names the COCO image")
        if key not in known:
            raise InputError(
                f"line {row.line}: image '{key}' is not among the {len(known)} of Object HalBench. Wrong --suite?"
            )
        ids.append(key)
    return ids


def _length_printed(counts: Mapping[str, float], group: str) -> float | None:
    return float(f"{counts['words'] / counts['answers']:.2f}") if counts["answers"] else None


def parse_object_list(reply: str) -> list[str] | None:
    """The JSON list of strings in a judge's reply: the whole reply, its last line (both as in the official script) or its
    last fenced block; None if there is none."""
    fenced = re.findall(r"```(?:json)?\s*\n(.*?)```", reply, re.DOTALL)
    for text in (reply, reply.strip().rpartition("\n")[2], *fenced[-1:]):
        try:
            names = json.loads(text)
        except (ValueError, RecursionError):  # a judge stuck in a loop writes [[[[[[
            continue
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
    return None


SUITE = Suite(
    name="object_halbench",
    version="1",
    title="Object HalBench",
    options=Options,
    decoding=Decoding(max_new_tokens=1024, num_beams=3),  # RLAIF-V's evaluation
    metrics=(
        hallucinated_texts(
            "response_hall",
            "answers_hallucinated",
            "answers_with_object",
            official=percent_printed("answers_hallucinated", "answers_with_object", 2),
            companions=("recall", "length"),
            margin=0.05,
            published="chair_s",  # papers call the rate per response CHAIRs
        ),
        hallucinated_texts(
            "chair_s",
            "answers_hallucinated",
            "answers",
            official=percent_printed("answers_hallucinated", "answers", 1),
            label="CHAIRs",
            main=(),
            companions=("recall", "length"),
            margin=0.05,
        ),
        hallucinated_mentions(
            "object_hall",
            "mentions_hallucinated",
            "mentions",
            official=percent_printed("mentions_hallucinated", "mentions", 2),
            companions=("recall", "length"),
            published="chair_i",  # and the rate per object CHAIRi
        ),
        named_share(
            "recall", "truth_named", "truth_objects", official=percent_printed("truth_named", "truth_objects", 2)
        ),
        length("answers", official=_length_printed),
        ratio_metric(
            "not_in_answer",
            "not_in_answer",
            "extracted",
            "neither",
            unread=True,
            description="share of extracted objects that the answer does not contain",
        ),
    ),
    groups={"all": ("all",)},
    load=load,
    match=match,
)
