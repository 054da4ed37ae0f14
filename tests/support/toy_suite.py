"""A suite of 200 questions on 100 images, and answers of which every fourth is wrong."""

from collections.abc import Sequence
from pathlib import Path

from halbench.evaluation.coverage import Coverage, coverage
from halbench.evaluation.scoring import score_responses
from halbench.scoring_tools.ratios import ratio_metric
from halbench.types import Decoding, Item, Judgement, Response, Score, Suite, Task

RATE = ratio_metric("rate", "wrong", "asked", "lower", companions=())
ITEMS = [Item(str(n), (Path(f"{n // 2}.jpg"),), "What is it?", "cat", "all") for n in range(200)]


def right_or_wrong(item: Item, response: Response, judgement: Judgement | None) -> Score:
    return Score.of(item, {"asked": 1, "wrong": response.text != item.truth})


SUITE = Suite("toy", "1", "Toy", object, Decoding(8), (RATE,), {"all": ("all",)}, load=None, match=None)
TASK = Task(ITEMS, right_or_wrong, {})
ANSWERS = [Response(item.id, "cat" if n % 4 else "dog") for n, item in enumerate(ITEMS)]


def scored(responses: Sequence[Response]) -> tuple[list[Score], Coverage]:
    scores = score_responses(TASK, responses, {})
    return scores, coverage(ITEMS, scores, responses)
