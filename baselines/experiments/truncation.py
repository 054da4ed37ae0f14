"""The truncation control: the base model's own answers with their last sentence dropped.

Hallucinations are most frequent at the end of descriptions, so anything that makes answers shorter lowers CHAIR. An
objective that does not beat this control has taught the model to stop early, and nothing about images.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from halbench.data.datasets import Data
from halbench.evaluation.evaluate import Evaluation, evaluate, run_settings, write_evaluation
from halbench.evaluation.stored_responses import read_run
from halbench.evaluation.suites import load_suite
from halbench.files.records import write_jsonl
from halbench.folders.run import RunFolder
from halbench.judging.judgements import NO_JUDGEMENTS
from halbench.types import Response

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
MARK = {"altered": "last sentence of each answer dropped, where it has two or more"}


def without_last_sentence(text: str) -> str:
    """The text without its last sentence; a single sentence stays, since an empty answer is another failure."""
    sentences = SENTENCE_END.split(text.strip())
    return text if len(sentences) < 2 else text.strip()[: -len(sentences[-1])].rstrip()


def truncated(responses: Sequence[Response]) -> list[Response]:
    """Responses without their last sentence; token count and finish reason are cleared where the text changed."""
    short = {response.item: without_last_sentence(response.text) for response in responses}
    return [
        response
        if short[response.item] == response.text
        else replace(response, text=short[response.item], tokens=None, finish=None)
        for response in responses
    ]


def truncated_run(suite_name: str, base: Path, out: Path, data: Data, allowed: Sequence[str] = ()) -> Evaluation:
    """Make the control from the base's run, in a run folder of its own whose model entry says so."""
    suite = load_suite(suite_name)
    stored = read_run(suite, [], data, RunFolder(base))
    model = {**stored.model, **MARK}
    settings = run_settings(suite, stored.options, stored.task, model, stored.decoding, stored.limit, stored.reasoning)
    responses = truncated(stored.responses)
    folder = RunFolder(out)
    with folder.lock():
        folder.begin(settings)
        write_jsonl(folder.responses_path, responses)
        evaluation = evaluate(
            suite, stored.task, responses, stored.decoding, NO_JUDGEMENTS, allowed, stored.model, stored.reasoning
        )
        write_evaluation(folder, settings, evaluation)
    return evaluation
