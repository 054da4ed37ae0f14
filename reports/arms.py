"""What is compared: runs of one suite under one signature, seeds of one training taken together as an arm.

    for panel in panels(reading):
        panel.arms          base, truncated base, mdpo (3 seeds), ...
        panel.baseline(options)

Models that were trained on other preference pairs stand in panels of their own, each with the untrained runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from halbench import comparison
from halbench.errors import InputError, did_you_mean
from halbench.types import Score
from reports.main_metrics import MainMetric, main_metrics
from reports.types import Options, Reading, ReadRun

ORDER = ("dpo", "mdpo", "mfpo", "mbpo", "dpo_anchor", "sft")
TRUNCATED = "truncated base"


@dataclass(frozen=True)
class Arm:
    """Runs that are one row: the seeds of one objective and learning rate, or one run alone."""

    label: str
    runs: tuple[ReadRun, ...]

    @property
    def trained(self) -> bool:
        return self.runs[0].objective is not None

    @property
    def role(self) -> str:
        return self.runs[0].role


@dataclass(frozen=True)
class Panel:
    """Arms that may stand beside each other. name: for files; results: the tidy rows of all their runs."""

    name: str
    suite: str
    signature: str
    pairs_hash: str | None
    arms: tuple[Arm, ...]
    results: pd.DataFrame

    @property
    def metrics(self) -> list[MainMetric]:
        return main_metrics(self.suite, self.results)

    def baseline(self, options: Options) -> Arm | None:
        """The arm that is asked for by name, else the only base of an ablation; None where there is neither."""
        if options.baseline is not None:
            return next((arm for arm in self.arms if options.baseline in names_of(arm)), None)
        bases = [arm for arm in self.arms if arm.role == "base"]
        if len(bases) > 1:
            raise InputError(
                f"{self.suite}: {len(bases)} runs could be the baseline: {', '.join(arm.label for arm in bases)}; "
                "name one with --baseline"
            )
        return bases[0] if bases else None


def names_of(arm: Arm) -> set[str]:
    """What --baseline may call an arm."""
    return {arm.label, *(run.name for run in arm.runs), *(str(run.path) for run in arm.runs)}


def check_baseline(reading: Reading, options: Options) -> None:
    """Raise InputError where --baseline names nothing that was read."""
    if options.baseline is None:
        return
    known = {name for panel in panels(reading) for arm in panel.arms for name in names_of(arm)}
    if options.baseline not in known:
        raise InputError(
            f"--baseline '{options.baseline}': no such run or objective{did_you_mean(options.baseline, known)}"
        )


def panels(reading: Reading) -> list[Panel]:
    """All arms, by suite, signature and preference pairs."""
    found = []
    for suite in dict.fromkeys(run.suite for run in reading.runs):
        signatures = list(dict.fromkeys(run.signature for run in reading.runs if run.suite == suite))
        for number, signature in enumerate(signatures, 1):
            runs = [run for run in reading.runs if (run.suite, run.signature) == (suite, signature)]
            hashes: list[str | None] = [*dict.fromkeys(run.pairs_hash for run in runs if run.pairs_hash)] or [None]
            for digest in hashes:
                within = [run for run in runs if run.pairs_hash in (None, digest)]
                parts = [suite, str(number) if len(signatures) > 1 else "", (digest or "") if len(hashes) > 1 else ""]
                results = reading.results[reading.results["run"].isin([run.name for run in within])]
                found.append(
                    Panel("_".join(filter(None, parts)), suite, signature, digest, tuple(arms(within)), results)
                )
    return found


def arms(runs: Sequence[ReadRun]) -> list[Arm]:
    """Base and truncation control first, then other runs, then what was trained, the papers' objectives first."""
    rates = {run.learning_rate for run in runs if run.objective}
    groups: dict[str, list[ReadRun]] = {}
    for run in runs:
        groups.setdefault(label(run, len(rates) > 1), []).append(run)
    ordered = sorted(groups.items(), key=lambda group: place(group[1][0]))
    return [Arm(name, tuple(sorted(members, key=lambda run: run.seed or 0))) for name, members in ordered]


def label(run: ReadRun, with_rate: bool) -> str:
    if run.objective is None:
        return run.name.replace("truncated", TRUNCATED) if run.role == "truncated" else run.name
    return f"{run.objective}, lr {run.learning_rate:g}" if with_rate else run.objective


def place(run: ReadRun) -> tuple[int, int, str, float]:
    roles = ("base", "truncated")
    objective = run.objective or ""
    known = ORDER.index(objective) if objective in ORDER else len(ORDER)
    return (
        roles.index(run.role) if run.role in roles else 2 + bool(objective),
        known,
        objective or run.name,
        run.learning_rate or 0.0,
    )


@lru_cache(maxsize=4)
def load_run(path: Path) -> comparison.Run:
    """Scores are large: only the last few runs are kept."""
    return comparison.load_run(path)


def mean_run(arm: Arm) -> comparison.Run:
    """An arm as one run whose counts are the means over its seeds, of the items that all of them have scored."""
    runs = [load_run(run.path) for run in arm.runs]
    first = runs[0]
    if len(runs) == 1:
        return first
    for other in runs[1:]:
        comparison.pair(first, other)  # the same items under the same signature, or it raises
    scores = {item: mean_score([run.scores[item] for run in runs]) for item in first.scores}
    return comparison.Run(first.path, first.suite, first.signature, first.fields, scores)


def mean_score(scores: Sequence[Score]) -> Score:
    """Counts as means; a score that any seed lacks is lacking."""
    first = scores[0]
    lacking = next((score for score in scores if score.state != "scored"), None)
    if lacking is not None:
        return lacking
    names = dict.fromkeys(name for score in scores for name in score.counts)
    counts = {name: sum(score.counts.get(name, 0) for score in scores) / len(scores) for name in names}
    return Score(first.item, first.image, first.group, counts)
