"""MMHal-Bench: 96 open questions whose answers a text-only judge rates from 0 to 6 (Sun et al., 2023, arXiv 2309.14525).

A rating below 3 says that the answer hallucinates. With 96 questions the hallucination rate is known to about +-10 points.
A reply without one readable rating is "unscored" here; the official script scores it 0, and its numbers stand beside ours.
Source: Shengcao1006/MMHal-Bench and RLHF-V/RLHF-V eval/eval_gpt_mmhal.py, summarize_gpt_mmhal_review.py.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from halbench.datasets import Data
from halbench.errors import InputError
from halbench.ratios import ratio_metric
from halbench.records import read_json
from halbench.response_files import image_key
from halbench.types import Decoding, Item, Judgement, JudgeQuestion, Response, ResponseRow, Score, Suite, Task

TYPES = ("attribute", "adversarial", "comparison", "counting", "relation", "environment", "holistic", "other")


@dataclass(frozen=True)
class Options:
    """MMHal-Bench has no options; the judge and its prompt are in the signature."""


def load(data: Data, options: Options, rows: Sequence[ResponseRow] | None) -> Task:
    images = data.image_folder("mmhal")
    records = read_json(data.file("mmhal/mmhal-bench_answer_template.json"))
    items = [
        Item(
            id=record["image_id"],
            image=images / record["image_src"].rsplit("/", 1)[-1],
            prompt=record["question"],
            truth={"image_content": ", ".join(record["image_content"]), "answer": record["gt_answer"]},
            group=TYPES[index % 8],  # the official script takes the type from the order of the questions
        )
        for index, record in enumerate(records)
    ]
    asks = JudgeQuestion("mmhal_judge", "user", judge_values, lambda reply: read_rating(reply) is not None)
    return Task(items, score, {}, judge=asks)


def judge_values(item: Item, response: Response) -> Mapping[str, str]:
    """What fills the judge's prompt, in the order of the official one."""
    return {
        "image_contents": item.truth["image_content"],
        "question": item.prompt,
        "human_answer": item.truth["answer"],
        "response": response.text,
    }


def score(item: Item, response: Response, judgement: Judgement | None) -> Score:
    """Counts of one judged answer, by our reading of the rating and by the official one."""
    if judgement is None or judgement.state == "error":
        reason = judgement.error if judgement else "no judge was asked; add --judge MODEL or --judgements FILE"
        return Score(item.id, item.image.name, item.group, {}, state="unscored", error=f"no verdict: {reason}")
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
        return Score(item.id, item.image.name, item.group, counts, evidence, "unscored", f"no verdict: {state} reply")
    counts |= {"rated": 1, "rating": rating, "hallucinated": rating < 3, "informative": informativeness(rating)}
    return Score(item.id, item.image.name, item.group, counts, evidence)


def informativeness(rating: int) -> float:
    """0 to 1 from a rating: how much is said, whether or not it is true (summarize_gpt_mmhal_review.py)."""
    return (rating - 3 if rating >= 3 else rating) / 3


def official_rating(reply: str) -> int | None:
    """eval_gpt_mmhal.py: the one rating s in 0..6 for which "rating: s" is a substring; so "Rating: 10" reads 1."""
    found = [rating for rating in range(7) if f"rating: {rating}" in reply.lower()]
    return found[0] if len(found) == 1 else None


def read_rating(reply: str) -> int | None:
    """The rating 0..6 that a reply ends on: the number after the word "rating" in the last line that has one; markdown and
    spacing are ignored.

    None when there is none, when it is no whole number from 0 to 6, or when that line holds several.
    """
    for line in reversed(reply.splitlines()):
        plain = re.sub(r"[*_`#\[\]()]", "", line).lower()
        numbers = set(re.findall(r"\brating\s*[:=\-]?\s*(-?\d+(?:[.,]\d+)?)", plain))
        if numbers:
            rating = numbers.pop()
            return int(rating) if not numbers and re.fullmatch("[0-6]", rating) else None
    return None


def match(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str]:
    """Rows by the template's image_id or image file; a list of 96 rows without either by its order. Questions must agree."""
    by_image = {item.id: item for item in items} | {image_key(item.image.name): item for item in items}
    by_order = len(rows) == len(items) and all(row.image is None and row.id is None for row in rows)
    ids = []
    for place, row in enumerate(rows):
        names = (str(row.extra.get("image_id", "")), image_key(row.image or ""), row.id or "")
        found = items[place] if by_order else next((by_image[name] for name in names if name in by_image), None)
        if found is None:
            raise InputError(
                f"line {row.line}: no image_id or image of MMHal-Bench's 96 questions found in this row. Wrong --suite?"
            )
        if row.prompt is not None and not row.prompt.replace("<image>", "").strip().startswith(found.prompt.strip()):
            raise InputError(
                f"line {row.line}: this row answers {row.prompt[:60]!r}, but the question of {found.id} is {found.prompt[:60]!r}"
            )
        ids.append(found.id)
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
    version="1",
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
        ),
        ratio_metric(
            "hallucination_rate",
            "hallucinated",
            "rated",
            "lower",
            groups=GROUPS,
            official=_mean_printed("official_hallucinated", ("all",)),
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
