"""What a reader should know before believing the numbers: two readings that disagree, and signs that answers and questions
do not belong together. Found from what the suite's metrics declare, never from their names.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from halbench.evaluation.suite_contract import Key, all_metrics, value_at
from halbench.types import Result, Score, Suite, Task

READ_DIFFERENTLY = 0.01
"""Difference of value and official number, as a fraction, from which it is said."""
ENOUGH = 100
"""Scored answers below which nothing is concluded."""
WORSE_THAN_CHANCE = 0.8
"""Share of Metric.chance below which a value is suspicious: 40 % where guessing reaches 50 %."""
COLLAPSED, LOW, NEARLY_ALL = 0.05, 0.2, 0.9
"""Coverage below which hardly any answer names what is in its image; and which is suspicious where nearly all hallucinate,
as do answers to other images."""


def notes(suite: Suite, task: Task, scores: Sequence[Score], results: Sequence[Result]) -> tuple[str, ...]:
    """One line each."""
    suspicions = [*below_chance(suite, results), *collapsed_coverage(results), *constant_answers(scores)]
    ids = (
        [f"{'; '.join(suspicions)}: do the ids match, and are these answers to these questions?"] if suspicions else []
    )
    return (*filter(None, [task.note]), *reading_differences(suite, scores, results), *ids)


def reading_differences(suite: Suite, scores: Sequence[Score], results: Sequence[Result]) -> list[str]:
    """Headline numbers that the authors' way of reading the same answers (counts "official_X") moves by over a point."""
    found = []
    metrics = all_metrics(suite)
    for row in results:
        if not row.main or row.unit != "fraction" or row.value is None:
            continue
        sums = summed(scores, suite.groups[row.group])
        authors = {name: sums.get(f"official_{name}", count) for name, count in sums.items()}
        authors |= {name.removeprefix("official_"): sums[name] for name in sums if name.startswith("official_")}
        value = value_at(metrics[row.group, row.metric], list(authors), np.array(list(authors.values())))
        if value is not None and abs(value - row.value) > READ_DIFFERENTLY:
            found.append(f"{row.group} {row.metric} {row.value:.1%}, by the authors' reading {value:.1%}")
    return [f"the authors' script reads these answers differently: {'; '.join(found)}"] if found else []


def summed(scores: Sequence[Score], members: Sequence[str]) -> dict[str, float]:
    """Counts summed over the scores of these item groups, of every state, as official scripts take them."""
    counts = [score.counts for score in scores if score.group in members]
    return {name: math.fsum(row.get(name, 0) for row in counts) for name in {name for row in counts for name in row}}


def below_chance(suite: Suite, results: Sequence[Result]) -> list[str]:
    """Headline numbers far below what guessing reaches, with the share of answers that could not be read."""
    metrics = all_metrics(suite)
    unread: Mapping[Key, float] = {(row.group, row.metric): row.value or 0 for row in results if row.unread}
    found = []
    for row in results:
        chance = metrics[row.group, row.metric].chance
        if chance is None or not row.main or row.n < ENOUGH or row.value is None:
            continue
        if row.value < WORSE_THAN_CHANCE * chance:
            share = max((value for (group, _), value in unread.items() if group == row.group), default=0)
            found.append(
                f"{row.group} {row.metric} is {row.value:.1%}, below chance ({chance:.0%})"
                + (f", with {share:.0%} of the answers unread" if share else "")
            )
    return found


def collapsed_coverage(results: Sequence[Result]) -> list[str]:
    """Coverage that is gone, or low while nearly all answers hallucinate."""
    fractions = [row for row in results if row.unit == "fraction" and row.value is not None and row.n >= ENOUGH]
    found = []
    for row in fractions:
        key = f"{row.group}/{row.metric}"
        worst = max((other.value or 0 for other in fractions if other.main and key in other.companions), default=None)
        if worst is not None and row.better == "higher":
            limit = LOW if worst > NEARLY_ALL else COLLAPSED
            found += [f"{row.group} {row.metric} is {row.value:.1%}"] if (row.value or 0) < limit else []
    return found


def constant_answers(scores: Sequence[Score]) -> list[str]:
    """The one answer as which all questions were read, although they have different right ones."""
    asked = [score.evidence for score in scores if score.state == "scored" and "answer" in score.evidence]
    answers, truths = ({str(evidence.get(name)) for evidence in asked} for name in ("answer", "truth"))
    if len(asked) < ENOUGH or len(answers) != 1 or len(truths) < 2 or answers == {"None"}:
        return []
    return [f"all {len(asked)} answers are {answers.pop()!r}"]
