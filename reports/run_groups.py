"""What a report compares: runs of one suite under one signature, the seeds of one training taken together as a group.

    for panel in panels(reading):
        panel.groups          base, truncated base, mdpo (3 seeds), ...
        panel.baseline(options)

Models trained on different preference pairs are in separate panels, each of which also has the untrained runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from halbench.comparing import comparison
from halbench.errors import InputError, did_you_mean
from halbench.files.records import content_hash
from halbench.types import Score
from reports.main_metrics import MainMetric, main_metrics
from reports.types import LoadedRun, LoadedTraining, Options, ReportInput, marked

TRUNCATED = "truncated base"
SHORT = {"learning_rate": "lr"}
"""Setting -> its abbreviation in labels."""
T = TypeVar("T", LoadedRun, LoadedTraining)


@dataclass(frozen=True)
class RunGroup:
    """The runs behind one row: the seeds of one objective with the same settings, or a single run."""

    name: str
    runs: tuple[LoadedRun, ...]

    @property
    def label(self) -> str:
        """The name, with what the runs' coverage lacks: "blip2 (95/96 scored)"."""
        return marked(self.name, self.runs)

    @property
    def trained(self) -> bool:
        return self.runs[0].objective is not None

    @property
    def role(self) -> str:
        return self.runs[0].role

    @property
    def names(self) -> set[str]:
        """Everything by which --baseline can name the group."""
        return {self.name, self.label, *(run.name for run in self.runs), *(str(run.path) for run in self.runs)}


@dataclass(frozen=True)
class Panel:
    """Groups that can be compared with each other. name: for file names. groups: of complete runs. incomplete: each of the
    others by itself; it is shown apart, and never a baseline, tested or averaged. results: the tidy rows of all runs."""

    name: str
    suite: str
    signature: str
    pairs_hash: str | None
    groups: tuple[RunGroup, ...]
    results: pd.DataFrame
    incomplete: tuple[RunGroup, ...] = ()

    @property
    def all_groups(self) -> tuple[RunGroup, ...]:
        """All groups, the incomplete runs last."""
        return (*self.groups, *self.incomplete)

    @property
    def several_seeds(self) -> bool:
        """Whether any group is a mean over seeds."""
        return any(len(group.runs) > 1 for group in self.groups)

    @cached_property
    def metrics(self) -> list[MainMetric]:
        return main_metrics(self.results)

    @cached_property
    def values(self) -> Mapping[tuple[str, str], tuple[float | None, float | None, float | None]]:
        """(run, "group/metric") -> value and bounds of its interval; None where undefined."""
        numbers = self.results[["value", "low", "high"]].astype(object)
        rows = numbers.where(numbers.notna(), None).itertuples(index=False, name=None)
        keys = zip(self.results["run"], self.results["group"] + "/" + self.results["metric"], strict=True)
        return dict(zip(keys, rows, strict=True))

    @cached_property
    def bounds(self) -> Mapping[tuple[str, str], tuple[float | None, float | None]]:
        """(run, "group/metric") -> lowest and highest value that the items without a score leave open, where there are such
        bounds."""
        numbers = self.results[["worst", "best"]].astype(float)
        keys = zip(self.results["run"], self.results["group"] + "/" + self.results["metric"], strict=True)
        ends = zip(keys, numbers.min(axis=1), numbers.max(axis=1), numbers.notna().all(axis=1), strict=True)
        return {key: (low, high) for key, low, high, known in ends if known}

    def baseline(self, options: Options) -> RunGroup | None:
        """The group named by --baseline, else the base of an ablation, else the only run of the checkpoint that the others
        were trained from; None if there is none."""
        if options.baseline is not None:
            return next((group for group in self.groups if options.baseline in group.names), None)
        bases = [group for group in self.groups if group.role == "base"]
        if len(bases) > 1:
            raise InputError(
                f"{self.suite}: {len(bases)} runs could be the baseline: {', '.join(group.label for group in bases)}; "
                "name one with --baseline"
            )
        if not bases:
            checkpoints = {group.runs[0].settings.get("model") for group in self.groups if group.trained}
            bases = [group for group in self.groups if untrained_weights(group) in checkpoints]
        return bases[0] if len(bases) == 1 else None


def untrained_weights(group: RunGroup) -> str | None:
    """Fingerprint of a model that was neither trained here nor has an adapter; None for any other."""
    model = group.runs[0].manifest.settings.model
    plain = not group.trained and group.role == "run" and "adapter" not in model
    return model.get("fingerprint") if plain else None


def check_baseline(reading: ReportInput, options: Options) -> None:
    """Raise InputError if --baseline names no run or objective that was read."""
    if options.baseline is None:
        return
    groups = [group for panel in panels(reading) for group in panel.groups]
    if not any(options.baseline in group.names for group in groups):
        incomplete = [group for panel in panels(reading) for group in panel.incomplete]
        if any(options.baseline in group.names for group in incomplete):
            raise InputError(f"--baseline '{options.baseline}': the run is incomplete; expected a complete one")
        labels = {group.name for group in groups}
        raise InputError(
            f"--baseline '{options.baseline}': no such run or objective{did_you_mean(options.baseline, labels)}"
        )


def panels(reading: ReportInput) -> list[Panel]:
    """All run groups, by suite, signature and preference pairs."""
    all_panels = []
    for suite in dict.fromkeys(run.suite for run in reading.runs):
        signatures = list(dict.fromkeys(run.signature for run in reading.runs if run.suite == suite))
        for number, signature in enumerate(signatures, 1):
            runs = [run for run in reading.runs if (run.suite, run.signature) == (suite, signature)]
            hashes: list[str | None] = [*dict.fromkeys(run.pairs_hash for run in runs if run.pairs_hash)] or [None]
            for digest in hashes:
                members = [run for run in runs if run.pairs_hash in (None, digest)]
                parts = [suite, str(number) if len(signatures) > 1 else "", (digest or "") if len(hashes) > 1 else ""]
                results = reading.results[reading.results["run"].isin([run.name for run in members])]
                name = "_".join(filter(None, parts))
                groups = tuple(run_groups([run for run in members if run.coverage.complete]))
                incomplete = sorted((run for run in members if not run.coverage.complete), key=run_order)
                apart = tuple(RunGroup(untrained_label(run), (run,)) for run in incomplete)
                all_panels.append(Panel(name, suite, signature, digest, groups, results, apart))
    return all_panels


def run_groups(runs: Sequence[LoadedRun]) -> list[RunGroup]:
    """Base and truncation control first, then other untrained runs, then trained ones in the order of their experiment."""
    groups: dict[str, list[LoadedRun]] = {}
    for run in (run for run in runs if run.objective is None):
        label = untrained_label(run)
        groups[run.name if label in groups else label] = [run]
    groups |= by_settings([run for run in runs if run.objective is not None])
    ordered = sorted(groups.items(), key=lambda group: run_order(group[1][0]))
    return [RunGroup(name, tuple(members)) for name, members in ordered]


def untrained_label(run: LoadedRun) -> str:
    """The name that its command gave the model, else that of its folder."""
    if run.manifest.name:
        return run.manifest.name
    return run.name.replace("truncated", TRUNCATED) if run.role == "truncated" else run.name


def by_settings(trained: Sequence[T]) -> dict[str, list[T]]:
    """Label -> runs or trainings that differ only in their seed, in the order of the seeds. If an objective was trained with
    several settings, the label contains those that differ. Runs that repeat a seed are not averaged; each gets its own label.
    """
    rates = {one.settings.get("learning_rate") for one in trained}
    groups: dict[tuple[str | None, str], list[T]] = {}
    for one in trained:
        groups.setdefault((one.objective, content_hash(all_settings(one))), []).append(one)
    labelled: dict[str, list[T]] = {}
    for (objective, key), members in groups.items():
        variants = [all_settings(others[0]) for (name, _), others in groups.items() if name == objective]
        own: dict[str, Any] = all_settings(members[0])
        varying: list[str] = [
            name
            for name in dict.fromkeys(chain(*variants))
            if any(other.get(name) != own.get(name) for other in variants)
        ]
        if len(rates) > 1 and "learning_rate" not in varying:
            varying.insert(0, "learning_rate")
        label = ", ".join([str(objective), *(f"{SHORT.get(name, name)} {as_text(own.get(name))}" for name in varying)])
        if label in labelled:
            label += f", settings {key}"
        if len({one.seed for one in members}) == len(members):
            labelled[label] = sorted(members, key=lambda one: one.seed or 0)
        else:
            labelled |= {f"{label}: {one.name}": [one] for one in members}
    return labelled


def all_settings(one: LoadedRun | LoadedTraining) -> dict[str, Any]:
    """Everything but the seed that shaped a training."""
    return {**one.settings, "pairs": one.pairs_hash}


def as_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def run_order(run: LoadedRun) -> tuple[int, float, str, float]:
    """Sort key of runs: controls first, then other untrained runs, then trained ones in the order of their experiment."""
    roles = ("base", "truncated")
    return (
        roles.index(run.role) if run.role in roles else 2 + (run.training is not None),
        training_order(run.training) if run.training else 0,
        run.objective or run.name,
        run.learning_rate or 0.0,
    )


def training_order(training: LoadedTraining) -> float:
    """Sort key of trainings: their position in an ablation; those outside of one come last."""
    return training.position if training.position is not None else float("inf")


@lru_cache(maxsize=4)
def load_run(path: Path) -> comparison.Run:
    """Scores are large: only the last few runs are kept."""
    return comparison.load_run(path)


def mean_run(group: RunGroup) -> comparison.Run:
    """A group as one run: counts are means over its seeds, of the items that all of them have scored."""
    runs = [load_run(run.path) for run in group.runs]
    first = runs[0]
    if len(runs) == 1:
        return first
    for other in runs[1:]:
        comparison.scored_in_both(first, other)  # the same items under the same signature, or it raises
    scores = {item: mean_score([run.scores[item] for run in runs]) for item in first.scores}
    return replace(first, scores=scores)


def mean_score(scores: Sequence[Score]) -> Score:
    """Mean counts over the seeds; if an item is unscored for any seed, that unscored score."""
    first = scores[0]
    unscored = next((score for score in scores if score.state != "scored"), None)
    if unscored is not None:
        return unscored
    names = dict.fromkeys(name for score in scores for name in score.counts)
    counts = {name: sum(score.counts.get(name, 0) for score in scores) / len(scores) for name in names}
    return Score(first.item, first.cluster, first.group, counts)
