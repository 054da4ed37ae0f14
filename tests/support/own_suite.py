"""A suite of a user's own, whose metrics of hallucination have names that halbench has never heard of.

Answers are words: each "bad" is a hallucination, each "good" one of five things that the image shows.
"""

from pathlib import Path

import pytest

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.evaluation.suites import load_suite, open_task
from halbench.types import Task

SOURCE = '''"""Sixty images to describe."""

from dataclasses import dataclass
from pathlib import Path

from halbench.responses.matching import match_by_id_or_question
from halbench.scoring_tools.ratios import ratio_metric
from halbench.types import Decoding, Item, Metric, Score, Suite, Task


@dataclass(frozen=True)
class Options:
    pass


def load(data, options, rows):
    truth = ["good"] * 5
    return Task([Item(str(n), (Path(f"{n}.jpg"),), "Describe.", truth, "all") for n in range(60)], score, {})


def score(item, response, judgement):
    words = response.text.split()
    bad, good = words.count("bad"), words.count("good")
    counts = {"words": len(words), "bad": bad, "good": good, "texts": 1, "texts_bad": bad > 0, "slots": 5}
    return Score.of(item, counts, {"hallucinated": ["bad"] * bad})


def match(items, rows):
    return match_by_id_or_question(items, rows, "ids are 0 to 59")


METRICS = (
    # METRICS
)
SUITE = Suite("own", "1", "Own", Options, Decoding(max_new_tokens=8), METRICS, {"all": ("all",)}, load, match)
'''
COVERAGE = 'ratio_metric("coverage", "good", "slots", "higher")'
MADE_UP = 'ratio_metric("made_up", "bad", "words", "lower", main=("all",), companions=("coverage",))'


def write(folder: Path, *metrics: str, name: str = "own.py") -> Path:
    """The suite as a plugin file with these metrics, as Python source."""
    path = folder / name
    path.write_text(SOURCE.replace("# METRICS", ", ".join((*metrics, ""))))
    return path


def opened(folder: Path, *metrics: str) -> Task:
    """The suite with these metrics, loaded and opened as halbench does it."""
    suite = load_suite(str(write(folder, *metrics)))
    return open_task(suite, Data(folder), suite.options())


def refused(folder: Path, *metrics: str) -> str:
    """The one line with which halbench refuses the suite with these metrics."""
    with pytest.raises(InputError) as error:
        opened(folder, *metrics)
    assert "\n" not in str(error.value)
    return str(error.value)
