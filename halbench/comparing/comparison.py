"""Two run folders -> paired differences.

Runs are paired by item and compared only under one signature: the same suite, items, options, language, decoding and
judge. The model is no part of it. A difference is B - A; in a gate A is the baseline and B the run under test.

Items that lack a score in one of the runs are left out of both, and counted. With an incomplete run there is no test: what it
lacks may not be chance.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from halbench.errors import InputError
from halbench.evaluation.coverage import Coverage
from halbench.evaluation.scoring import applies, reported_groups
from halbench.evaluation.suites import suite_by_name
from halbench.files.records import differing_fields, from_row
from halbench.folders.run import RunFolder
from halbench.statistics.clusters import bootstrap_draws, cluster_sums, count_names, estimate, swap_draws
from halbench.statistics.paired_tests import holm, paired_test
from halbench.statistics.resampling import STANDARD, Resampling
from halbench.types import Better, Metric, Result, Score, Suite, Unit

Verdict = Literal["better", "worse", "higher", "lower", "not significant", "undefined", "incomplete"]


@dataclass(frozen=True)
class Run:
    """A scored run as loaded from its folder; scores by item id. An item with several scores is unscored here. results: for
    their bounds, which say what items without a score could be worth."""

    path: Path
    suite: str
    signature: str
    fields: Mapping[str, Any]
    scores: Mapping[str, Score]
    coverage: Coverage
    results: Sequence[Result] = ()

    def lacks(self, other: "Run") -> int:
        """How many items of the other run's scored ones have no score here."""
        return sum(
            score.state == "scored" and self.scores[item].state != "scored" for item, score in other.scores.items()
        )

    def slack(self, group: str, metric: str) -> float | None:
        """By how much a number could be worse, in its own unit, if each item without a score came out as badly as it can;
        None if that has no limit."""
        found = next((row for row in self.results if (row.group, row.metric) == (group, metric)), None)
        if found is None or found.value is None or found.worst is None:
            return None
        return abs(found.worst - found.value)


@dataclass(frozen=True)
class Pairing:
    """Two runs over the same items: a[i] and b[i] are the scores of one item. left_out: items not scored in both."""

    suite: Suite
    signature: str
    a: tuple[Score, ...]
    b: tuple[Score, ...]
    left_out: tuple[Score, ...]

    def candidates(self) -> list[tuple[str, Metric]]:
        """(group, metric) of everything that these runs can be compared by, in the suite's order."""
        names = count_names((*self.a, *self.b))
        groups = reported_groups(self.suite, {score.group for score in self.a})
        return [(g, m) for g in groups for m in self.suite.metrics if g in m.groups and applies(m, names)]


@dataclass(frozen=True)
class Row:
    """One metric in one group: values of both runs, and the difference B - A with interval and p-value.

    None: undefined (0/0), or of unknown spread. n: items scored in both; clusters: number of their images (Item.cluster);
    left_out: items not scored in both.
    """

    group: str
    metric: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    method: str | None
    smallest_detectable: float | None
    n: int
    clusters: int
    left_out: int
    better: Better
    unit: Unit


@dataclass(frozen=True)
class ComparisonRow:
    """A row of a comparison. verdict: on run B, from the p-value after Holm's adjustment over the whole table; "incomplete" and
    no p-value if one of the runs is."""

    row: Row
    p_holm: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Basis:
    """On what two runs are compared. n: items scored in both; left_out: the suite's other items. notes: items left out and
    unwanted answers, a line each. incomplete: a line for each run that is, with what is wrong with it."""

    n: int
    left_out: int
    notes: tuple[str, ...]
    incomplete: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """All differences of two runs. n, left_out, notes, incomplete: see Basis."""

    a: Path
    b: Path
    suite: str
    signature: str
    level: float
    n: int
    left_out: int
    notes: tuple[str, ...]
    incomplete: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]


def compare(a: Path, b: Path, resampling: Resampling = STANDARD, suite_file: str | None = None) -> Comparison:
    """The difference of two runs in every metric. Raises InputError if they cannot be compared."""
    return compare_runs(load_run(a), load_run(b), resampling, suite_file)


def compare_runs(a: Run, b: Run, resampling: Resampling = STANDARD, suite_file: str | None = None) -> Comparison:
    """The difference of two loaded runs in every metric. Raises InputError if they cannot be compared."""
    pairing = pair(a, b, suite_file)
    basis = basis_of({"A": a, "B": b}, pairing)
    unread = {metric.name for metric in pairing.suite.metrics if metric.unread}
    rows = [
        row for row in measure(pairing, pairing.candidates(), resampling) if row.metric not in unread or row.a or row.b
    ]
    if basis.incomplete:
        rows = [replace(row, p=None, method=None) for row in rows]
    tested = [row.p for row in rows if row.p is not None]
    adjusted = iter(holm(tested))
    compared = []
    for row in rows:
        p_holm = None if row.p is None else next(adjusted)
        verdict = "incomplete" if basis.incomplete else _verdict(row, p_holm, 1 - resampling.level)
        compared.append(ComparisonRow(row, p_holm, verdict))
    return Comparison(
        a.path, b.path, pairing.suite.name, pairing.signature, resampling.level, **vars(basis), rows=tuple(compared)
    )


def load_run(path: Path) -> Run:
    """The scored run in a folder, complete or not. Raises InputError for one that is not scored or is damaged."""
    folder = RunFolder(path)
    manifest = folder.scored_manifest()
    rows = folder.read(Score, folder.scores_path)
    if not rows:
        raise InputError(f"{folder.scores_path}: expected one score per line, found none. Score the run again")
    coverage = from_row(Coverage, manifest.coverage, f"{folder.manifest_path}: coverage")
    times = Counter(score.item for score in rows)
    repeated = next((item for item, count in times.items() if count > 1 and item not in coverage.duplicates), None)
    if repeated is not None:
        raise InputError(f"{folder.scores_path}: item '{repeated}' has two scores; expected one score per item")
    assert manifest.signature is not None
    name = manifest.settings.suite.name
    scores, results = by_item(rows), folder.results() if folder.results_path.is_file() else []
    return Run(path, name, manifest.signature, manifest.signature_fields, scores, coverage, results)


def by_item(scores: Sequence[Score]) -> dict[str, Score]:
    """Scores by item id; an item with several has none that could be paired, and is unscored."""
    times = Counter(score.item for score in scores)
    error = "{} answers to one question".format
    return {
        score.item: score
        if times[score.item] == 1
        else replace(score, counts={}, state="unscored", error=error(times[score.item]), faults=None)
        for score in scores
    }


def pair(a: Run, b: Run, suite_file: str | None = None) -> Pairing:
    """The items scored in both runs, and the suite whose formulas compare them; its version must be that of the signature.
    suite_file: of a user's own suite. Raises InputError for different signatures, items or formulas."""
    both = scored_in_both(a, b)
    suite = suite_by_name(a.suite, suite_file)
    if suite.version != a.fields.get("version"):
        raise InputError(
            f"{a.path} and {b.path} were scored with version {a.fields.get('version')} of suite '{suite.name}', which is now "
            f"version {suite.version}; score both again: halbench score --responses {a.path} --out DIR"
        )
    left_out = tuple(a.scores[item] for item in a.scores.keys() - both)
    scored_a, scored_b = (tuple(run.scores[item] for item in both) for run in (a, b))
    return Pairing(suite, a.signature, scored_a, scored_b, left_out)


def basis_of(runs: Mapping[str, Run], pairing: Pairing) -> Basis:
    """On what two runs are compared. runs: by the names that notes give them."""
    n, left_out = len(pairing.a), len(pairing.left_out)
    lacking = {name: sum(score.state != "scored" for score in run.scores.values()) for name, run in runs.items()}
    counts = " and ".join(f"{name} lacks {number}" for name, number in lacking.items())
    notes = [f"Compared on the {n} of {n + left_out} items that both runs have; {counts}."] if left_out else []
    unwanted = {name: run.coverage.unwanted() for name, run in runs.items()}
    if len(set(unwanted.values())) > 1:
        listed = "; ".join(f"{name} {counts}" for name, counts in unwanted.items())
        notes.append(f"Empty, cut or refused answers: {listed}.")
    incomplete = {
        f"{run.path} is incomplete: {run.coverage.complaint()}": None
        for run in runs.values()
        if not run.coverage.complete
    }
    return Basis(n, left_out, tuple(notes), tuple(incomplete))


def scored_in_both(a: Run, b: Run) -> list[str]:
    """The items that are scored in both runs. Raises InputError for different signatures or items, and if there are none."""
    check_comparable(a, b)
    both = [item for item, score in a.scores.items() if score.state == b.scores[item].state == "scored"]
    if not both:
        raise InputError(f"{a.path} and {b.path}: no item is scored in both")
    return both


def check_comparable(a: Run, b: Run) -> None:
    """Raise InputError for runs of different suites, signatures or items."""
    if a.suite != b.suite:
        raise InputError(
            f"{a.path} is a run of suite '{a.suite}' and {b.path} one of '{b.suite}'; expected runs of one suite"
        )
    if a.signature != b.signature or a.fields != b.fields:
        differences = differing_fields(a.fields, b.fields, ("in A", "in B"))
        listed = "; ".join(differences) or f"{a.signature} in A, {b.signature} in B"
        raise InputError(
            f"{a.path} (A) and {b.path} (B) cannot be compared, because their signatures differ: {listed}. Run or score one "
            "of them again with the settings of the other"
        )
    for one, other in ((a, b), (b, a)):
        extra = [item for item in one.scores if item not in other.scores]
        if extra:
            raise InputError(
                f"{one.path} has {len(extra)} items that {other.path} lacks, the first is '{extra[0]}'; expected the same "
                "items in both, including failed ones"
            )
    moved = next(
        (i for i, s in a.scores.items() if (s.cluster, s.group) != (b.scores[i].cluster, b.scores[i].group)), None
    )
    if moved is not None:
        raise InputError(
            f"{a.path} and {b.path}: item '{moved}' has different images (clusters) or groups in the two runs"
        )


def measure(pairing: Pairing, metrics: Sequence[tuple[str, Metric]], resampling: Resampling = STANDARD) -> list[Row]:
    """The paired difference in each (group, metric), in the order of the groups."""
    names = count_names((*pairing.a, *pairing.b))
    rows = []
    for group in dict.fromkeys(group for group, _ in metrics):
        members = pairing.suite.groups[group]
        a, b = (cluster_sums([s for s in scores if s.group in members], names) for scores in (pairing.a, pairing.b))
        n_clusters = len(a.clusters)
        draws, swaps = (
            draw(n_clusters, resampling.n_resamples, resampling.seed) for draw in (bootstrap_draws, swap_draws)
        )
        n = sum(score.group in members for score in pairing.a)
        left_out = sum(score.group in members for score in pairing.left_out)
        for metric in (metric for metric_group, metric in metrics if metric_group == group):
            test = paired_test(metric, a, b, draws, swaps, resampling.level)
            rows.append(
                Row(
                    group=group,
                    metric=metric.name,
                    a=estimate(metric, a),
                    b=estimate(metric, b),
                    difference=test.difference if test else None,
                    low=test.low if test else None,
                    high=test.high if test else None,
                    p=test.p_value if test else None,
                    method=test.method if test else None,
                    smallest_detectable=test.smallest_detectable if test else None,
                    n=n,
                    clusters=len(a.clusters),
                    left_out=left_out,
                    better=metric.better,
                    unit=metric.unit,
                )
            )
    return rows


def _verdict(row: Row, p_holm: float | None, alpha: float) -> Verdict:
    if p_holm is None or row.difference is None:
        return "undefined"
    if p_holm > alpha:
        return "not significant"
    if row.better == "neither":
        return "higher" if row.difference > 0 else "lower"
    return "better" if (row.difference > 0) == (row.better == "higher") else "worse"
