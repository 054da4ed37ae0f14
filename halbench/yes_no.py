"""Yes/no questions: reading an answer, counting it, and the metrics over the counts.

Each suite says which answer is its positive class: "no" for AMBER (a hallucination is a wrong "yes"), "yes" for POPE.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from halbench.ratios import divide, ratio_metric
from halbench.types import Metric

Answer = Literal["yes", "no"]


def read_strict(text: str) -> Answer | None:
    """AMBER's inference.py: only the exact strings "Yes" and "No" are answers."""
    return "yes" if text == "Yes" else "no" if text == "No" else None


def read_lenient(text: str) -> Answer | None:
    """The one of the words yes and no that opens the answer, else the only one in its first sentence; else None."""
    words = re.findall(r"[a-z']+", re.split(r"[.!?\n]", text.strip(" \n\t.!?*\"'`"), maxsplit=1)[0].lower())
    named = [word for word in words if word in ("yes", "no")]
    if named and (words[0] == named[0] or len(set(named)) == 1):
        return "yes" if named[0] == "yes" else "no"
    return None


def read_llava(text: str) -> Answer:
    """LLaVA's eval_pope.py: first sentence, commas removed; "no" if the word No, not or no is in it, otherwise "yes"."""
    words = text.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def read_vcd(text: str, truth: Answer) -> Answer:
    """VCD's eval_pope.py: the truth says which of the substrings "yes" and "no" is looked for; the other answer without it."""
    if truth == "yes":
        return "yes" if "yes" in text.lower() else "no"
    return "no" if "no" in text.lower() else "yes"


def count_answer(truth: Answer, answer: Answer | None, positive: Answer) -> dict[str, float]:
    """Counts of one answered question; an answer that could not be read is wrong, and counted as unread as well."""
    return {
        "questions": 1,
        "correct": truth == answer,
        "truth_positive": truth == positive,
        "answered_positive": answer == positive,
        "correct_positive": truth == positive == answer,
        "unread": answer is None,
    }


def f1(counts: Mapping[str, Any], prefix: str = "") -> Any:
    """Harmonic mean of precision and recall, from unrounded counts."""
    return divide(
        2 * counts[prefix + "correct_positive"],
        counts[prefix + "answered_positive"] + counts[prefix + "truth_positive"],
    )


def metrics(groups: tuple[str, ...], official: Mapping[str, Any]) -> tuple[Metric, ...]:
    """accuracy, precision, recall and f1 in these groups. official: metric name -> what the authors' script prints."""
    return (
        ratio_metric("accuracy", "correct", "questions", "higher", groups=groups, official=official["accuracy"]),
        ratio_metric(
            "precision",
            "correct_positive",
            "answered_positive",
            "higher",
            groups=groups,
            official=official["precision"],
        ),
        ratio_metric(
            "recall", "correct_positive", "truth_positive", "higher", groups=groups, official=official["recall"]
        ),
        Metric("f1", f1, "higher", groups=groups, official=official["f1"]),
    )
