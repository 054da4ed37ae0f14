"""Scoring stored responses from Python, as `halbench score` does it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from halbench.data.datasets import Data
from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.evaluate import Evaluation
from halbench.evaluation.score import score_stored
from halbench.judging.options import Judging


def score(
    suite: str | None,
    responses: Path,
    data: Data,
    *settings: str,
    judgements: Path | None = None,
    out: Path | None = None,
) -> Evaluation:
    """The evaluation of a response file or run folder. settings: options of the suite, such as "captions=pattern"."""
    choice = SuiteChoice(data.root, data.images, suite, settings)
    return score_stored(choice, responses, Judging(stored=judgements), out)


def jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """A file with one JSON object per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def values(evaluation: Evaluation) -> dict[tuple[str, str], float | None]:
    """(group, metric) -> value."""
    return {(row.group, row.metric): row.value for row in evaluation.results}


def printed(evaluation: Evaluation) -> dict[tuple[str, str], float | None]:
    """(group, metric) -> the number as the official script prints it."""
    return {(row.group, row.metric): row.official for row in evaluation.results}


def counts(evaluation: Evaluation, group: str | None = None) -> dict[str, float]:
    """Summed counts over scored responses, of one item group or of all."""
    sums: dict[str, float] = {}
    for score in evaluation.scores:
        if score.state == "scored" and group in (None, score.group):
            for name, count in score.counts.items():
                sums[name] = sums.get(name, 0) + count
    return sums
