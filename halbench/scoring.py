"""Responses -> scores -> results: counts per response, then every metric with its interval, and one signature.

A failure never becomes a score: what was not answered, not judged or not readable is counted in `Coverage`. A run in which
more than `TOLERATED` of the items lack a score is incomplete, and its numbers say so.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from halbench.records import as_json, content_hash
from halbench.response_files import duplicates, image_key
from halbench.statistics import FOLDS, bootstrap_draws, cluster_sums, count_names, estimate, interval
from halbench.types import Decoding, Item, Judgement, Metric, Response, Result, Score, Suite, Task

TOLERATED = 0.01
"""Share of items without a score up to which a run still counts as complete."""


@dataclass(frozen=True)
class Coverage:
    """How many of the items have a score, and why the others have none. share: scored / items.

    empty: answered with no text; scored, as officially. reasons: the commonest errors, first. duplicates: ids answered more than once; each row is scored, as
    the official scripts do, but the run does not count as complete.
    """

    items: int
    scored: int
    empty: int
    missing: int
    errors: int
    unscored: int
    reasons: tuple[str, ...]
    duplicates: tuple[str, ...]
    share: float

    @property
    def complete(self) -> bool:
        return not self.duplicates and self.scored >= (1 - TOLERATED) * self.items

    def complaint(self) -> str:
        """One line on what is missing; empty when the run is complete and nothing failed."""
        parts = [
            f"{number} {what}"
            for number, what in (
                (self.missing, "without a response"),
                (self.errors, "failed in generation"),
                (self.unscored, "without a verdict"),
            )
            if number
        ]
        line = f"{self.scored} of {self.items} items scored ({', '.join(parts)})" if parts else ""
        if self.reasons:
            line += f", for instance: {'; '.join(self.reasons[:2])}"
        if self.duplicates:
            shown = ", ".join(self.duplicates[:5]) + (", ..." if len(self.duplicates) > 5 else "")
            line += (
                f"{'; ' if line else ''}duplicate ids, every row of which was scored ({len(self.duplicates)}): {shown}"
            )
        return line


def score_responses(task: Task, responses: Sequence[Response], judgements: Mapping[str, Judgement]) -> list[Score]:
    """One score per response, in the order of the items, and one of state "missing" per item without a response."""
    if len({item.id for item in task.items}) != len(task.items):
        raise ValueError("two items of the task have the same id")
    answers: dict[str, list[Response]] = {}
    for response in responses:
        answers.setdefault(response.item, []).append(response)
    scores = []
    for item in task.items:
        scores += [_score(task, item, response, judgements.get(item.id)) for response in answers.get(item.id, [])] or [
            Score(item.id, item.image.name, item.group, {}, state="missing", error="no response")
        ]
    return scores


def _score(task: Task, item: Item, response: Response, judgement: Judgement | None) -> Score:
    if response.state == "error":
        return Score(item.id, item.image.name, item.group, {}, state="error", error=response.error)
    return task.score(item, response, judgement)


def coverage(items: Sequence[Item], scores: Sequence[Score], responses: Sequence[Response]) -> Coverage:
    """How much of the items is scored. scores: those of these items."""
    scored = len({score.item for score in scores if score.state == "scored"})
    states = [score.state for score in scores]
    ids = {item.id for item in items}
    reasons = Counter(score.error for score in scores if score.state in ("error", "unscored") and score.error)
    return Coverage(
        items=len(items),
        scored=scored,
        empty=sum(response.state == "empty" and response.item in ids for response in responses),
        missing=states.count("missing"),
        errors=states.count("error"),
        unscored=states.count("unscored"),
        reasons=tuple(reason for reason, _ in reasons.most_common(3)),
        duplicates=tuple(duplicates([score.item for score in scores])),
        share=scored / len(items) if items else 0.0,
    )


def reported_groups(suite: Suite, leaves: set[str]) -> dict[str, tuple[str, ...]]:
    """The groups to report for items of these groups: those that are wholly there."""
    return {name: members for name, members in suite.groups.items() if set(members) <= leaves}


def applies(metric: Metric, names: Sequence[str]) -> bool:
    """Whether a metric's formula can be worked out from counts of these names."""
    try:
        metric.value(dict.fromkeys(names, 1.0))
    except KeyError:
        return False
    return True


def results(
    suite: Suite, task: Task, scores: Sequence[Score], signature: str, folds: int = FOLDS, seed: int = 0
) -> list[Result]:
    """Every metric in every group, each with its 95 % interval over images, coverage and signature."""
    names = count_names(scores)
    rows = []
    for group, members in reported_groups(suite, {item.group for item in task.items}).items():
        metrics = [
            metric for metric in suite.metrics if group in metric.groups and (not names or applies(metric, names))
        ]
        if not metrics:
            continue
        within = [score for score in scores if score.group in members]
        items = sum(item.group in members for item in task.items)
        scored = [score for score in within if score.state == "scored"]
        counts = cluster_sums(within, names)
        draws = bootstrap_draws(max(1, len(counts.clusters)), folds, seed)
        # An official script also counts what we leave unscored, such as a reply without a readable rating.
        sums = {name: math.fsum(score.counts.get(name, 0) for score in within) for name in names}
        for metric in metrics:
            bounds = interval(metric, counts, draws) if scored else None
            rows.append(
                Result(
                    suite=suite.name,
                    group=group,
                    metric=metric.name,
                    value=estimate(metric, counts) if scored else None,
                    low=bounds.low if bounds else None,
                    high=bounds.high if bounds else None,
                    n=len(scored),
                    coverage=len({score.item for score in scored}) / items,
                    better=metric.better,
                    unit=metric.unit,
                    official=_official(metric, sums, group) if task.official and names else None,
                    signature=signature,
                )
            )
    return rows


def _official(metric: Metric, sums: Mapping[str, float], group: str) -> float | None:
    printed = metric.official(sums, group) if metric.official else None
    return None if printed is None or math.isnan(printed) else printed


def signature_fields(suite: Suite, task: Task, decoding: Decoding | None, judge: Mapping[str, str]) -> dict[str, str]:
    """All that can change a number but the model: name -> value. decoding None: the responses came from a file."""
    return {
        "suite": suite.name,
        "version": suite.version,
        "items": items_identity(task.items),
        **task.identity,
        **judge,
        "decoding": "stored" if decoding is None else describe_decoding(decoding),
    }


def items_identity(items: Sequence[Item]) -> str:
    """Number and hash of the items: which are asked, with what prompt, on what image, against what truth."""
    asked = [(item.id, image_key(item.image.name), item.prompt, item.truth, item.group) for item in items]
    return f"{len(items)}-{content_hash(asked, 8)}"


def describe_decoding(decoding: Decoding) -> str:
    """ "greedy,max_new_tokens=512" and the like: what is not at its default."""
    kind = f"sampled,temperature={decoding.temperature},top_p={decoding.top_p}" if decoding.temperature else "greedy"
    beams = f",num_beams={decoding.num_beams}" if decoding.num_beams > 1 else ""
    extra = "".join(f",{name}={value}" for name, value in sorted(as_json(decoding.extra).items()))
    return f"{kind}{beams},max_new_tokens={decoding.max_new_tokens}{extra}"


def signature(fields: Mapping[str, str]) -> str:
    """The fields in one line, as sacrebleu writes them: "suite:amber|version:1|items:1004-9f2c|..."."""
    return "|".join(f"{name}:{value}" for name, value in fields.items())
