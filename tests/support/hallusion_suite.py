"""HallusionBench: yes/no questions on figures and on their edited twins (Guan et al., 2023, arXiv 2310.14566).

1,129 questions in 167 sets; 178 of them have no image. aAcc is over questions; fAcc asks for every question on a figure to be
right, qAcc for a question to be right on every figure of its set. Intervals are over sets.
Source: tianyi-lab/HallusionBench utils.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from halbench.data.datasets import Data
from halbench.files.records import read_json
from halbench.responses.matching import match_by_id_or_question
from halbench.scoring_tools import yes_no
from halbench.scoring_tools.ratios import ratio_metric
from halbench.types import Decoding, Item, Judgement, Response, ResponseRow, Score, Suite, Task

KEY = ("category", "subcategory", "set_id", "figure_id", "question_id")
GROUPS = ("all", "VD", "VS")


@dataclass(frozen=True)
class Options:
    """answers: read as yes or no by our rule, or labelled as in the authors' files: field gpt_check with 1 for correct, 0
    for incorrect, 2 for unclear."""

    answers: Literal["read", "labelled"] = "read"


def load(data: Data, options: Options, rows: Sequence[ResponseRow] | None) -> Task:
    images = data.image_folder("hallusionbench")
    items = []
    for row in read_json(data.file("hallusionbench/HallusionBench.json")):
        figure, question = "_".join(row[name] for name in KEY[:4]), "_".join(row[name] for name in KEY)
        set_ = "_".join(row[name] for name in KEY[:3])
        without_figure = row["category"] == "VS" and row["figure_id"] == "0"
        truth = {
            "answer": "yes" if row["gt_answer"] == "1" else "no",
            "figure": None if without_figure else figure,
            "question": f"{set_}/{row['question_id']}",
        }
        paths = (images / row["filename"],) if row["filename"] else ()
        items.append(Item(question, paths, row["question"], truth, row["category"], cluster=set_))
    score = score_labelled if options.answers == "labelled" else score_read
    joint = partial(count_together, {item.id: item.truth for item in items})
    return Task(items, score, {"answers": options.answers}, joint=joint)


def score_read(item: Item, response: Response, judgement: Judgement | None) -> Score:
    answer = yes_no.read_lenient(response.text)
    counts = yes_no.count_answer(item.truth["answer"], answer, positive="yes")
    return Score.of(item, counts, {"truth": item.truth["answer"], "answer": answer})


def score_labelled(item: Item, response: Response, judgement: Judgement | None) -> Score:
    label = str(response.extra.get("gpt_check", "2"))
    # Without a figure, "I do not know" is a right answer.
    correct = label == "1" or (label == "2" and item.truth["figure"] is None)
    return Score.of(item, {"questions": 1, "correct": correct, "unread": label == "2"}, {"label": label})


def count_together(truths: Mapping[str, Any], scores: Sequence[Score]) -> list[Score]:
    """Whether all answers on a figure, and all to a question, are right: counted with the first that is scored."""
    extra: dict[str, dict[str, float]] = {}
    for level in ("figure", "question"):
        groups: dict[str, list[Score]] = {}
        for score in scores:
            if truths[score.item][level] is not None:
                groups.setdefault(truths[score.item][level], []).append(score)
        for members in groups.values():
            first = next((score.item for score in members if score.state == "scored"), None)
            if first is not None:
                right = all(score.counts.get("correct") for score in members)
                extra.setdefault(first, {}).update({f"{level}s_together": 1, f"{level}s_right": right})
    return [replace(score, counts={**score.counts, **extra.get(score.item, {})}) for score in scores]


def match(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str]:
    return match_by_id_or_question(items, rows, "ids are like VS_chart_0_0_0")


SUITE = Suite(
    name="hallusionbench",
    version="1",
    title="HallusionBench",
    options=Options,
    decoding=Decoding(max_new_tokens=64),
    metrics=(
        ratio_metric("accuracy", "correct", "questions", "higher", groups=GROUPS, label="aAcc", main=("all",)),
        ratio_metric(
            "figure_accuracy", "figures_right", "figures_together", "higher", groups=GROUPS, label="fAcc", main=("all",)
        ),
        ratio_metric(
            "question_accuracy",
            "questions_right",
            "questions_together",
            "higher",
            groups=GROUPS,
            label="qAcc",
            main=("all",),
        ),
        ratio_metric("unread", "unread", "questions", "lower", groups=GROUPS, companions=(), unread=True),
    ),
    groups={"all": ("VD", "VS"), "VD": ("VD",), "VS": ("VS",)},
    load=load,
    match=match,
)
