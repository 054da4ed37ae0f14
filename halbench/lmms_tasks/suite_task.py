"""What lmms-eval calls while it runs a task of ours: documents, the picture, an answer, the value of a metric.

Documents are the suite's items. An answer is one row of a response file, and lmms-eval's metrics are looked up in what
`halbench score` makes of all rows; nothing is scored here. The same row stands in lmms-eval's sample log, so that
`halbench score --suite amber --responses ..._samples_halbench_amber.jsonl` gives the same numbers, with their intervals:

    {"doc_id": 0, ..., "item": "12/description", "prediction": "The image shows a park.", "descriptions_chair": "", ...}

lmms-eval hands no options to a task, so these come from the environment:

    HALBENCH_DATA    the data folder
    HALBENCH_SET     options of suites: chair.images=photos,object_halbench.extraction=judge
    HALBENCH_JUDGE   judge model, with HALBENCH_JUDGE_BASE_URL, _PROMPT (a file) and _KWARGS like the options of halbench run
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from halbench.datasets import open_data
from halbench.errors import InputError
from halbench.evaluation import Evaluation, load_suite, score_stored
from halbench.lmms_tasks import SUITES
from halbench.not_answers import lmms_failure
from halbench.records import content_hash, dumps
from halbench.suite_options import parse_options
from halbench.types import Suite, Task

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL.Image import Image

    from halbench.judge import JudgeOptions

NO_SCORE, UNDEFINED = "no score", "undefined"
BETTER = {"higher": True, "lower": False, "neither": None}


@dataclass(frozen=True)
class Answer:
    """What lmms-eval collects for one metric of one response. row: of a response file, as JSON; the same for all metrics."""

    suite: str
    metric: str
    row: str

    def __str__(self) -> str:
        return ""  # in the sample log, which holds the row's fields once and not with every metric


def documents(placeholder: "Dataset") -> "Dataset":
    """One document per item whose image is there. placeholder: any data set; its config name is the suite's name."""
    from datasets import Dataset

    suite = placeholder.info.config_name
    task = open_task(suite)
    there = [item for item in task.items if item.image.is_file()]
    if not there:
        raise InputError(
            f"none of the {len(task.items)} images of {suite} is there (the first is {task.items[0].image}). "
            f"Set HALBENCH_DATA, or see: halbench data status {suite}"
        )
    if len(there) < len(task.items):
        complain(
            f"{suite}: {len(task.items) - len(there)} of {len(task.items)} items are not asked: their images are missing"
        )
    if task.judge and judge() is None:
        complain(f"{suite}: no judge, so its metrics will be '{NO_SCORE}'; set HALBENCH_JUDGE=MODEL")
    return Dataset.from_list(
        [{"suite": suite, "item": item.id, "image": str(item.image), "question": item.prompt} for item in there]
    )


def picture(document: Mapping[str, str]) -> "list[Image]":
    """The image of a document, as RGB, exactly as it is stored."""
    from PIL import Image

    with Image.open(document["image"]) as file:
        return [file.convert("RGB")]


def answer(document: Mapping[str, str], results: Sequence[str]) -> dict[str, Any]:
    """What lmms-eval keeps of one response: the fields of its row, for the sample log, and one `Answer` a metric."""
    row: dict[str, Any] = {"item": document["item"], "prediction": results[0]}
    problem = lmms_failure(results[0], None)  # lmms-eval shows no count of tokens to a task
    if problem is not None:
        row |= {"state": "error", "error": f"generation failed: {problem}"}
    text = dumps(row)
    suite = document["suite"]
    return row | {name: Answer(suite, name, text) for name in metric_names(load_suite(suite))}


def value(answers: Sequence[Answer]) -> float | str:
    """A metric over all answers, in its own unit, unrounded."""
    evaluation = evaluate(answers[0].suite, tuple(answer.row for answer in answers))
    found = (
        row
        for row in (evaluation.results if evaluation else ())
        if full_name(row.group, row.metric) == answers[0].metric
    )
    row = next(found, None)
    if row is None or not row.n:
        return NO_SCORE
    return UNDEFINED if row.value is None else row.value


@lru_cache(maxsize=len(SUITES))
def evaluate(suite: str, rows: Sequence[str]) -> Evaluation | None:
    """What `halbench score` makes of these rows, told on stderr once. None where it cannot: after hours of generation
    that must not keep lmms-eval from writing down the answers."""
    with TemporaryDirectory() as folder:
        # The name makes the run folder, in which a judge's replies are kept: other responses, another folder.
        file = Path(folder) / f"lmms-eval-{content_hash(rows, 8)}.jsonl"
        file.write_text("\n".join(rows), encoding="utf-8")
        prompt = os.environ.get("HALBENCH_JUDGE_PROMPT")
        try:
            asked = judge() if open_task(suite).judge else None
            evaluation = score_stored(
                suite,
                assignments(suite),
                open_data(),
                file,
                judge_options=asked,
                judge_prompt=Path(prompt) if asked and prompt else None,
            )
        except InputError as error:
            complain(
                f"{suite}: {error}. The answers stand in lmms-eval's sample log (--log_samples), which halbench score reads"
            )
            return None
    complaint = evaluation.coverage.complaint()
    if complaint:
        complain(f"{suite}: {'' if evaluation.coverage.complete else 'INCOMPLETE: '}{complaint}")
    print(evaluation.signature, file=sys.stderr)
    return evaluation


def open_task(suite: str) -> Task:
    """A suite loaded with the options of the environment."""
    loaded = load_suite(suite)
    return loaded.load(open_data(), parse_options(loaded.options, assignments(suite)), None)


def assignments(suite: str) -> list[str]:
    """The options of a suite in HALBENCH_SET: "chair.images=photos,amber.similarity=spacy" -> ["images=photos"]."""
    found = []
    for assignment in filter(None, os.environ.get("HALBENCH_SET", "").split(",")):
        name, dot, option = assignment.partition(".")
        if not dot or name not in SUITES:
            raise InputError(
                f"HALBENCH_SET {assignment}: expected SUITE.NAME=VALUE with a suite of {', '.join(SUITES)}"
            )
        if name == suite:
            found.append(option)
    return found


def judge() -> "JudgeOptions | None":
    """The judge that the environment names."""
    from halbench.cli.options import judge_options

    kwargs = os.environ.get("HALBENCH_JUDGE_KWARGS", "")
    return judge_options(os.environ.get("HALBENCH_JUDGE"), os.environ.get("HALBENCH_JUDGE_BASE_URL"), 8, kwargs)


def metric_names(suite: Suite) -> list[str]:
    """lmms-eval's names of all metrics of a suite."""
    return [full_name(group, metric.name) for group, metric in grouped(suite)]


def full_name(group: str, metric: str) -> str:
    """A metric in a reported group: "existence_f1"; of the whole suite the metric's own name."""
    return metric if group == "all" else f"{group}_{metric}"


def grouped(suite: Suite) -> list[tuple[str, Any]]:
    """Every metric in every reported group in which it stands."""
    return [(group, metric) for group in suite.groups for metric in suite.metrics if group in metric.groups]


def metric_list(suite: str) -> list[dict[str, Any]]:
    """The metrics of a suite as a task of lmms-eval lists them."""
    return [
        {"metric": full_name(group, metric.name), "aggregation": value, "higher_is_better": BETTER[metric.better]}
        for group, metric in grouped(load_suite(suite))
    ]


def complain(line: str) -> None:
    print(f"halbench: {line}", file=sys.stderr, flush=True)


amber_metrics, chair_metrics, mmhal_metrics, object_halbench_metrics, scenes_metrics = map(metric_list, SUITES)
"""Where YAML files find them: a name in a module is all that they can say."""
