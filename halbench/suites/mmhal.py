"""MMHal-Bench: 96 open questions whose answers a text-only judge rates from 0 to 6 (Sun et al., 2023, arXiv 2309.14525).

A rating below 3 means that the answer hallucinates. With 96 questions the hallucination rate is known to about +-10 points.
A reply without exactly one readable rating is "unscored" here; the official script scores it 0, and its numbers are shown
next to ours.
Source: Shengcao1006/MMHal-Bench and RLHF-V/RLHF-V eval/eval_gpt_mmhal.py, summarize_gpt_mmhal_review.py.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.files.records import read_json
from halbench.reasoning import answer_part
from halbench.responses.matching import image_key
from halbench.scoring_tools.ratios import ratio_metric
from halbench.types import (
    Decoding,
    Extremes,
    Item,
    Judgement,
    JudgeQuestion,
    Response,
    ResponseRow,
    Score,
    Suite,
    Task,
)

TYPES = ("attribute", "adversarial", "comparison", "counting", "relation", "environment", "holistic", "other")
ACCEPTABLE = 3
"""Rating below which an answer hallucinates."""
EXTREMES = Extremes(
    best={"rated": 1, "rating": 6, "hallucinated": 0, "informative": 1},
    worst={"rated": 1, "rating": 0, "hallucinated": 1, "informative": 0},
)


@dataclass(frozen=True)
class Options:
    """MMHal-Bench has no options; the judge and its prompt are in the signature."""


def load(data: Data, options: Options, rows: Sequence[ResponseRow] | None) -> Task:
    images = data.image_folder("mmhal")
    records = read_json(data.file("mmhal/mmhal-bench_answer_template.json"))
    items = [
        Item(
            id=record["image_id"],
            images=(images / record["image_src"].rsplit("/", 1)[-1],),
            prompt=record["question"],
            truth={"image_content": ", ".join(record["image_content"]), "answer": record["gt_answer"]},
            group=TYPES[index % 8],  # the official script derives the type from the order of the questions
        )
        for index, record in enumerate(records)
    ]
    question = JudgeQuestion("mmhal_judge", "user", judge_values, lambda reply, values: read_rating(reply) is not None)
    return Task(items, score, {}, judge=question, extremes=lambda item: EXTREMES)


def judge_values(item: Item, response: Response) -> Mapping[str, str]:
    """Values of the judge's prompt, in the order of the official one."""
    return {
        "image_contents": item.truth["image_content"],
        "question": item.prompt,
        "human_answer": item.truth["answer"],
        "response": response.text,
    }


def score(item: Item, response: Response, judgement: Judgement | None) -> Score:
    """Counts of one judged answer, by our reading of the rating and by the official one."""
    if judgement is None or judgement.state == "error":
        reason = judgement.error if judgement else "not judged; add --judge MODEL or --judgements FILE"
        return Score.of(item, {}, state="unscored", error=f"no verdict: {reason}")
    rating, official = read_rating(judgement.reply), official_rating(judgement.reply) or 0
    counts: dict[str, float] = {
        "official_rated": 1,
        "official_rating": official,
        "official_hallucinated": official < 3,
        "official_informative": informativeness(official),
    }
    evidence = {"judge": judgement.reply, "rating": rating, "official_rating": official}
    if rating is None or judgement.state == "refused":
        state = "unparsable" if judgement.state == "ok" else judgement.state
        return Score.of(item, counts, evidence, "unscored", f"no verdict: {state} reply")
    counts |= {
        "rated": 1,
        "rating": rating,
        "hallucinated": rating < ACCEPTABLE,
        "informative": informativeness(rating),
    }
    return Score.of(item, counts, evidence, faults=max(0, ACCEPTABLE - rating))


def informativeness(rating: int) -> float:
    """0 to 1 from a rating: how informative an answer is, true or not (summarize_gpt_mmhal_review.py)."""
    return (rating - 3 if rating >= 3 else rating) / 3


def official_rating(reply: str) -> int | None:
    """eval_gpt_mmhal.py: the one rating s in 0..6 for which "rating: s" is a substring; so "Rating: 10" reads 1."""
    ratings = [rating for rating in range(7) if f"rating: {rating}" in reply.lower()]
    return ratings[0] if len(ratings) == 1 else None


QUOTED = re.compile(r'"[^"\n]*"|(?<!\w)\'[^\'\n]*\'(?!\w)|“[^”\n]*”|„[^“\n]*“|«[^»\n]*»|^\s*>.*$', re.MULTILINE)
RATING = re.compile(r"\brating\s*(?:[:=]|-(?=\s))?\s*(-?\d+(?:[.,]\d+)?)([^\n]{0,12})")
MORE = re.compile(
    r"\s*(?:(?:/|out of)\s*(?!6\b)-?\d|(?:,|[-–—~]+>?|to|or|and|through|up to)\s*-?\d|would\b|is (?:wrong|not))"
)
"""What makes a number no rating: a range, a list, another scale, a condition."""


STARTS = re.compile(r"[^\w>]*rating\b", re.IGNORECASE)


def read_rating(reply: str) -> int | None:
    """The one rating 0..6 in a reply: the number after the word "rating"; markdown and spacing are ignored, and so are
    thoughts. An answer may hold a rating of its own, which a judge may quote: among different ones only that at the beginning
    of a line counts, if no other line begins with one and the rest is in quotation marks. None if there is none, if there are
    different ones, or if it is a range ("2-5", "1 or 5"), on another scale or no whole number from 0 to 6.
    """
    reply = answer_part(reply)
    everywhere, unquoted = (ratings_in(text) for text in (reply, QUOTED.sub("", reply)))
    if len({number for number, _ in everywhere}) > 1:
        leading = [rating for line in reply.splitlines() for rating in ratings_in(line) if STARTS.match(line)]
        everywhere = unquoted if unquoted == leading else []
    elif not unquoted:
        everywhere = []
    numbers = {number for number, _ in everywhere}
    number = numbers.pop() if len(numbers) == 1 else ""
    return (
        int(number)
        if re.fullmatch("[0-6]", number) and not any(map(MORE.match, (after for _, after in everywhere)))
        else None
    )


def ratings_in(text: str) -> list[tuple[str, str]]:
    """(number, what follows it) after each "rating" in a text."""
    return RATING.findall(re.sub(r"[*_`#\[\]()]", "", text).lower())


def match(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str]:
    """Rows by the template's image_id or image file; 96 rows without either by their order. Questions must agree."""
    by_image = {item.id: item for item in items} | {image_key(item.images[0].name): item for item in items}
    by_order = len(rows) == len(items) and all(row.image is None and row.id is None for row in rows)
    ids = []
    for index, row in enumerate(rows):
        names = (str(row.extra.get("image_id", "")), image_key(row.image or ""), row.id or "")
        item = items[index] if by_order else next((by_image[name] for name in names if name in by_image), None)
        if item is None:
            raise InputError(
                f"line {row.line}: this row has no image_id or image of MMHal-Bench's 96 questions. Wrong --suite?"
            )
        if row.prompt is not None and not row.prompt.replace("<image>", "").strip().startswith(item.prompt.strip()):
            raise InputError(
                f"line {row.line}: this row answers {row.prompt[:60]!r}, but the question of {item.id} is {item.prompt[:60]!r}"
            )
        ids.append(item.id)
    return ids


def _mean_printed(numerator: str, groups: Sequence[str] | None = None) -> object:
    def official(counts: Mapping[str, float], group: str) -> float | None:
        printed = counts["official_rated"] and (groups is None or group in groups)
        return round(counts[numerator] / counts["official_rated"], 2) if printed else None

    return official


def _informativeness_printed(counts: Mapping[str, float], group: str) -> float | None:
    printed = counts["official_rated"] and group == "all"
    return float(f"{counts['official_informative'] / counts['official_rated'] * 100:.2f}") if printed else None


GROUPS = ("all", *TYPES)

SUITE = Suite(
    name="mmhal",
    version="2",
    title="MMHal-Bench",
    options=Options,
    decoding=Decoding(max_new_tokens=1024),  # LLaVA-RLHF's model_vqa_mmhal.py
    metrics=(
        ratio_metric(
            "score",
            "rating",
            "rated",
            "higher",
            unit="rating",
            groups=GROUPS,
            official=_mean_printed("official_rating"),
            main=("all",),
            margin=0.3,
            published="score",
            description="mean rating, 0 to 6",
        ),
        ratio_metric(
            "hallucination_rate",
            "hallucinated",
            "rated",
            "lower",
            groups=GROUPS,
            official=_mean_printed("official_hallucinated", ("all",)),
            main=("all",),
            companions=("informativeness",),
            margin=0.1,
            published="hallucination_rate",
            description="share of answers rated below 3",
        ),
        ratio_metric(
            "informativeness", "informative", "rated", "higher", groups=GROUPS, official=_informativeness_printed
        ),
    ),
    groups={"all": TYPES, **{kind: (kind,) for kind in TYPES}},
    load=load,
    match=match,
    note="96 questions: the hallucination rate is known to about 10 points either way.",
)
