"""Yes/no questions: reading an answer, counting it, and the metrics over the counts.

Each suite has its positive class: "no" in AMBER (a hallucination is a wrong "yes"), "yes" in POPE.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from halbench.scoring_tools.ratios import divide, ratio_metric
from halbench.types import Extremes, Metric

Answer = Literal["yes", "no"]


def read_strict(text: str) -> Answer | None:
    """AMBER's inference.py: only the exact strings "Yes" and "No" count as answers."""
    return "yes" if text == "Yes" else "no" if text == "No" else None


NO_ANSWER = re.compile(r"\bno (image|picture|photo|response|answer|idea|output|text|data|information)\b")
""" "No image was provided.", "I have no idea": the word no, and no answer."""
BOTH = re.compile(r"\b(yes|no) ?(/|,? or|,? and|,) ?(yes|no)\b")


def read_lenient(text: str) -> Answer | None:
    """ "yes" or "no" as the first word, else the only one of the two in the first sentence; None if neither applies, if both
    are offered ("yes/no"), or if the sentence is about a missing answer ("no image was provided")."""
    sentence = re.split(r"[.!?\n]", text.strip(" \n\t.!?*\"'`"), maxsplit=1)[0].lower()
    words = re.findall(r"[a-z']+", sentence)
    answers = [word for word in words if word in ("yes", "no")]
    offered = BOTH.search(sentence)
    if NO_ANSWER.search(sentence) or (offered and offered[1] != offered[3]):
        return None
    if answers and (words[0] == answers[0] or len(set(answers)) == 1):
        return "yes" if answers[0] == "yes" else "no"
    return None


def read_llava(text: str) -> Answer:
    """LLaVA's eval_pope.py: "no" if the first sentence, without commas, has the word No, not or no; otherwise "yes"."""
    words = text.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def read_vcd(text: str, truth: Answer) -> Answer:
    """VCD's eval_pope.py: the true answer if it is a substring of the text, otherwise the other one."""
    if truth == "yes":
        return "yes" if "yes" in text.lower() else "no"
    return "no" if "no" in text.lower() else "yes"


def count_answer(truth: Answer, answer: Answer | None, positive: Answer) -> dict[str, float]:
    """Counts of one answered question; an answer that could not be read is wrong, and also counted as unread."""
    return {
        "questions": 1,
        "correct": truth == answer,
        "truth_positive": truth == positive,
        "answered_positive": answer == positive,
        "correct_positive": truth == positive == answer,
        "unread": answer is None,
    }


def count_both(truth: Answer, ours: Answer | None, authors: Answer | None, positive: Answer) -> dict[str, float]:
    """count_answer by our reading, and official_correct and so on by the authors'."""
    official = count_answer(truth, authors, positive)
    names = ("correct", "answered_positive", "correct_positive")
    return count_answer(truth, ours, positive) | {f"official_{name}": official[name] for name in names}


def extremes(truth: Answer, positive: Answer) -> Extremes:
    """The counts of a right answer, and those of a wrong one that could not be read either."""
    wrong: Answer = "no" if truth == "yes" else "yes"
    return Extremes(count_answer(truth, truth, positive), {**count_answer(truth, wrong, positive), "unread": 1})


def f1(counts: Mapping[str, Any], prefix: str = "") -> Any:
    """Harmonic mean of precision and recall, from unrounded counts."""
    return divide(
        2 * counts[prefix + "correct_positive"],
        counts[prefix + "answered_positive"] + counts[prefix + "truth_positive"],
    )


def metrics(
    groups: tuple[str, ...], official: Mapping[str, Any], main: tuple[str, ...] = (), f1_main: bool = True
) -> tuple[Metric, ...]:
    """accuracy, precision, recall and f1 in these groups. official: metric name -> the number that the authors' script
    prints. main: the groups in which accuracy and, with f1_main, f1 are headline numbers."""
    return (
        ratio_metric(
            "accuracy",
            "correct",
            "questions",
            "higher",
            groups=groups,
            official=official.get("accuracy"),
            main=main,
            published="accuracy",
            chance=0.5,
            description="share of questions answered correctly",
        ),
        ratio_metric(
            "precision",
            "correct_positive",
            "answered_positive",
            "higher",
            groups=groups,
            official=official.get("precision"),
            companions=("recall",),
        ),
        ratio_metric(
            "recall", "correct_positive", "truth_positive", "higher", groups=groups, official=official.get("recall")
        ),
        Metric(
            "f1",
            f1,
            "higher",
            groups=groups,
            official=official.get("f1"),
            label="F1",
            main=main if f1_main else (),
            published="f1",
            description="harmonic mean of precision and recall",
        ),
    )


def unread_metric(groups: tuple[str, ...], count: str = "unread") -> Metric:
    """The share of answers that could be read neither as yes nor as no. Empty answers are among them, so that silence does
    not lower it."""
    return ratio_metric(count, count, "questions", "lower", groups=groups, companions=(), unread=True)
