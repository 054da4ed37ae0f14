"""What lmms-eval calls while it runs one of our tasks: documents, their images, answers, the value of a metric.

Documents are the suite's items. An answer is one row of a response file, and lmms-eval's metrics are looked up in the
results of `halbench score` on all rows; nothing is scored here. The same rows are in lmms-eval's sample log, so that
`halbench score --suite amber --responses ..._samples_halbench_amber.jsonl` gives the same numbers, with their intervals:

    {"doc_id": 0, ..., "item": "12/description", "prediction": "The image shows a park.", "descriptions_chair": "", ...}

lmms-eval passes no options to a task, so they come from the environment:

    HALBENCH_DATA    the data folder
    HALBENCH_SET     options of suites: chair.images=photos,object_halbench.extraction=judge
    HALBENCH_JUDGE   judge model; HALBENCH_JUDGE_BASE_URL, _PROMPT (a file) and _KWARGS are like the options of halbench run
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from halbench import plugins
from halbench.data.datasets import open_data
from halbench.errors import InputError
from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.evaluate import Evaluation
from halbench.evaluation.score import score_stored
from halbench.evaluation.suites import load_suite, open_task
from halbench.files.records import content_hash, dumps
from halbench.judging.options import JudgeOptions, Judging, judge_options
from halbench.lmms_tasks import METRICS
from halbench.responses.failure_text import lmms_failure
from halbench.settings import parse_arguments, parse_options
from halbench.terminal.progress import say
from halbench.types import Suite, Task

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL.Image import Image


NO_SCORE, UNDEFINED = "no score", "undefined"
BETTER = {"higher": True, "lower": False, "neither": None}


@dataclass(frozen=True)
class Answer:
    """What lmms-eval collects for one metric of one response. row: a response file's row as JSON, the same for all metrics."""

    suite: str
    metric: str
    row: str

    def __str__(self) -> str:
        return ""  # in the sample log, which has the row's fields already


def documents(placeholder: "Dataset") -> "Dataset":
    """One document per item whose images all exist. placeholder: any data set; its config name is the suite's name."""
    from datasets import Dataset

    suite = placeholder.info.config_name
    task = suite_and_task(suite)
    answerable = [item for item in task.items if all(path.is_file() for path in item.images)]
    if not answerable:
        first = next(path for path in task.items[0].images if not path.is_file())
        raise InputError(
            f"none of the {len(task.items)} items of {suite} has all its images (the first missing one is {first}). "
            f"Set HALBENCH_DATA, or see: halbench data status {suite}"
        )
    if missing := len(task.items) - len(answerable):
        say(f"{suite}: {missing} of {len(task.items)} items are skipped, because their images are missing")
    if task.judge and judge() is None:
        say(f"{suite}: no judge, so its metrics will be '{NO_SCORE}'; set HALBENCH_JUDGE=MODEL")
    return Dataset.from_list(
        [
            {"suite": suite, "item": item.id, "images": [str(path) for path in item.images], "question": item.prompt}
            for item in answerable
        ]
    )


def pictures(document: Mapping[str, Any]) -> "list[Image]":
    """The images of a document, as RGB, exactly as they are stored."""
    from halbench.models.images import open_image

    return [open_image(Path(path)) for path in document["images"]]


def answer(document: Mapping[str, str], results: Sequence[str]) -> dict[str, Any]:
    """What lmms-eval keeps of one response: the fields of its row, for the sample log, and one `Answer` per metric."""
    row: dict[str, Any] = {"item": document["item"], "prediction": results[0]}
    problem = lmms_failure(results[0], None)  # lmms-eval passes no token counts to a task
    if problem is not None:
        row |= {"state": "error", "error": f"generation failed: {problem}"}
    text = dumps(row)
    suite = document["suite"]
    return row | {name: Answer(suite, name, text) for name in metric_names(load_suite(suite))}


def value(answers: Sequence[Answer]) -> float | str:
    """A metric over all answers, in its own unit, unrounded."""
    evaluation = evaluate(answers[0].suite, tuple(answer.row for answer in answers))
    results = evaluation.results if evaluation else ()
    row = next((row for row in results if full_name(row.group, row.metric) == answers[0].metric), None)
    if row is None or not row.n:
        return NO_SCORE
    return UNDEFINED if row.value is None else row.value


@lru_cache(maxsize=16)
def evaluate(suite: str, rows: Sequence[str]) -> Evaluation | None:
    """The evaluation of these rows by `halbench score`, with its notes on stderr. None if it fails: after hours of
    generation a mistake must not keep lmms-eval from writing its sample log."""
    with TemporaryDirectory() as folder:
        # The file's name becomes that of the run folder with the judge's replies, so it depends on the responses.
        file = Path(folder) / f"lmms-eval-{content_hash(rows, 8)}.jsonl"
        file.write_text("\n".join(rows), encoding="utf-8")
        prompt = os.environ.get("HALBENCH_JUDGE_PROMPT")
        try:
            options = judge() if suite_and_task(suite).judge else None
            evaluation = score_stored(
                SuiteChoice(suite=suite, settings=tuple(assignments(suite))),
                file,
                Judging(options, prompt=Path(prompt) if options and prompt else None),
            )
        except InputError as error:
            say(
                f"{suite}: {error}. The answers are in lmms-eval's sample log (--log_samples), which halbench score reads"
            )
            return None
    for note in evaluation.notes:
        say(f"{suite}: {note}")
    complaint = evaluation.coverage.complaint()
    if complaint:
        say(f"{suite}: {'' if evaluation.coverage.complete else 'INCOMPLETE: '}{complaint}")
    say(evaluation.signature)
    return evaluation


def suite_and_task(name: str) -> Task:
    """A suite's task with the options of the environment."""
    suite = load_suite(name)
    return open_task(suite, open_data(), parse_options(suite.options, assignments(name)))


def assignments(suite: str) -> list[str]:
    """The options of a suite in HALBENCH_SET: "chair.images=photos,amber.similarity=spacy" -> ["images=photos"]."""
    settings = []
    for assignment in filter(None, os.environ.get("HALBENCH_SET", "").split(",")):
        name, dot, option = assignment.partition(".")
        if not dot or name not in plugins.names("halbench.suites"):
            raise InputError(
                f"HALBENCH_SET {assignment}: expected SUITE.NAME=VALUE with a suite of {', '.join(plugins.names('halbench.suites'))}"
            )
        if name == suite:
            settings.append(option)
    return settings


def judge() -> JudgeOptions | None:
    """The judge that the environment variables describe; None if there is none."""
    names = {"model": "HALBENCH_JUDGE", "base_url": "HALBENCH_JUDGE_BASE_URL"}
    fields: dict[str, Any] = {field: os.environ[name] for field, name in names.items() if os.environ.get(name)}
    extra = parse_arguments("HALBENCH_JUDGE_KWARGS", os.environ.get("HALBENCH_JUDGE_KWARGS", ""))
    return judge_options({**fields, **({"extra": extra} if extra else {})})


def metric_names(suite: Suite) -> list[str]:
    """lmms-eval's names of all metrics of a suite."""
    return [full_name(group, metric.name) for group, metric in grouped(suite)]


def full_name(group: str, metric: str) -> str:
    """A metric in a reported group: "existence_f1". In the group "all" it is the metric's own name."""
    return metric if group == "all" else f"{group}_{metric}"


def grouped(suite: Suite) -> list[tuple[str, Any]]:
    """(group, metric) for every metric in every group for which it is reported."""
    return [(group, metric) for group in suite.groups for metric in suite.metrics if group in metric.groups]


def metric_list(suite: str) -> list[dict[str, Any]]:
    """The metrics of a suite as lmms-eval's metric_list."""
    return [
        {"metric": full_name(group, metric.name), "aggregation": value, "higher_is_better": BETTER[metric.better]}
        for group, metric in grouped(load_suite(suite))
    ]


def __getattr__(name: str) -> list[dict[str, Any]]:
    """metrics_of_amber and the like. They are attributes, because a task file can refer to nothing else."""
    suite = name.removeprefix(METRICS)
    if suite == name or suite not in plugins.names("halbench.suites"):
        raise AttributeError(name)
    return metric_list(suite)
