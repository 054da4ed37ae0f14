"""What is compared: runs of one suite under one signature, seeds of one training taken together as an arm.

    for panel in panels(reading):
        panel.arms          base, truncated base, mdpo (3 seeds), ...
        panel.baseline(options)

Models that were trained on other preference pairs stand in panels of their own, each with the untrained runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from halbench import comparison
from halbench.errors import InputError, did_you_mean
from halbench.records import content_hash
from halbench.types import Score
from reports.main_metrics import MainMetric, main_metrics
from reports.types import Options, Reading, ReadRun, ReadTraining

ORDER = ("dpo", "mdpo", "mfpo", "mbpo", "dpo_anchor", "sft")
TRUNCATED = "truncated base"
SHORT = {"learning_rate": "lr"}  # how labels call a setting
T = TypeVar("T", ReadRun, ReadTraining)


@dataclass(frozen=True)
class Arm:
    """Runs that are one row: the seeds of one objective under the same settings, or one run alone."""

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
    def several_seeds(self) -> bool:
        """Whether any arm is a mean over seeds."""
        return any(len(arm.runs) > 1 for arm in self.arms)

    @property
    def metrics(self) -> list[MainMetric]:
        return main_metrics(self.suite, self.results)

    def baseline(self, options: Options) -> Arm | None:
        """The arm that is asked for by name, else the base of an ablation, else the only run of the very weights that
        others were trained from; None where there is none."""
        if options.baseline is not None:
            return next((arm for arm in self.arms if options.baseline in names_of(arm)), None)
        bases = [arm for arm in self.arms if arm.role == "base"]
        if len(bases) > 1:
            raise InputError(
                f"{self.suite}: {len(bases)} runs could be the baseline: {', '.join(arm.label for arm in bases)}; "
                "name one with --baseline"
            )
        if not bases:
            origins = {arm.runs[0].settings.get("model") for arm in self.arms if arm.trained}
            bases = [arm for arm in self.arms if weights_of(arm) in origins]
        return bases[0] if len(bases) == 1 else None


def weights_of(arm: Arm) -> str | None:
    """Fingerprint of an untrained model without an adapter; None for anything else."""
    model = arm.runs[0].manifest["settings"]["model"]
    plain = not arm.trained and arm.role == "run" and "adapter" not in model
    return model.get("fingerprint") if plain else None


def names_of(arm: Arm) -> set[str]:
    """What --baseline may call an arm."""
    return {arm.label, *(run.name for run in arm.runs), *(str(run.path) for run in arm.runs)}


def check_baseline(reading: Reading, options: Options) -> None:
    """Raise InputError where --baseline names nothing that was read."""
    if options.baseline is None:
        return
    arms_there = [arm for panel in panels(reading) for arm in panel.arms]
    if not any(options.baseline in names_of(arm) for arm in arms_there):
        labels = {arm.label for arm in arms_there}
        raise InputError(
            f"--baseline '{options.baseline}': no such run or objective{did_you_mean(options.baseline, labels)}"
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
    groups: dict[str, list[ReadRun]] = {untrained_label(run): [run] for run in runs if run.objective is None}
    groups |= by_settings([run for run in runs if run.objective is not None])
    ordered = sorted(groups.items(), key=lambda group: place(group[1][0]))
    return [Arm(name, tuple(members)) for name, members in ordered]


def untrained_label(run: ReadRun) -> str:
    return run.name.replace("truncated", TRUNCATED) if run.role == "truncated" else run.name


def by_settings(trained: Sequence[T]) -> dict[str, list[T]]:
    """What differs in its seed alone, under one label, in the order of the seeds. The label tells what an objective's
    settings differ in, where it was trained in several ways. A seed that is there twice is no second one: such runs stand
    alone, under their own names."""
    rates = {one.settings.get("learning_rate") for one in trained}
    groups: dict[tuple[str | None, str], list[T]] = {}
    for one in trained:
        groups.setdefault((one.objective, content_hash(all_of(one))), []).append(one)
    found: dict[str, list[T]] = {}
    for (objective, key), members in groups.items():
        ways = [all_of(others[0]) for (name, _), others in groups.items() if name == objective]
        own: dict[str, Any] = all_of(members[0])
        names: list[str] = [
            name for name in dict.fromkeys(chain(*ways)) if any(way.get(name) != own.get(name) for way in ways)
        ]
        if len(rates) > 1 and "learning_rate" not in names:
            names.insert(0, "learning_rate")
        label = ", ".join([str(objective), *(f"{SHORT.get(name, name)} {shown(own.get(name))}" for name in names)])
        if label in found:
            label += f", settings {key}"
        if len({one.seed for one in members}) == len(members):
            found[label] = sorted(members, key=lambda one: one.seed or 0)
        else:
            found |= {f"{label}: {one.name}": [one] for one in members}
    return found


def all_of(one: ReadRun | ReadTraining) -> dict[str, Any]:
    return {**one.settings, "pairs": one.pairs_hash}


def shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


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
        comparison.scored_in_both(first, other)  # the same items under the same signature, or it raises
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
