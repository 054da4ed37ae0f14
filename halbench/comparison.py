"""Two run folders -> paired differences, and the gate that lets a new model pass or not.

Runs are paired by item and compared only under one signature: the same suite, items, options, language, decoding and
judge. The model is no part of it. A difference is B - A; in a gate A is the baseline and B the run under test.

    margins.yaml         how much worse is still tolerated, in the metric's own unit (0.01 = one percentage point)
        amber:
          generative/chair: 0.01
          cover: 0.02    # without a group: in every group that the runs hold
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from halbench.errors import InputError, did_you_mean
from halbench.evaluation import named_suite
from halbench.formatting import format_amount
from halbench.records import from_row
from halbench.run_folder import RunFolder, differing_fields
from halbench.scoring import Coverage, applies, reported_groups
from halbench.statistics import (
    FOLDS,
    LEVEL,
    bootstrap_draws,
    cluster_sums,
    count_names,
    estimate,
    holm,
    paired_test,
    swap_draws,
)
from halbench.types import Better, Metric, Score, Suite, Unit

Verdict = Literal["better", "worse", "higher", "lower", "no difference shown", "undefined"]
Outcome = Literal["pass", "regression", "inconclusive", "not gated"]

CHAIR_TYPE = {"chair", "chair_i", "chair_s", "hal", "response_hall", "object_hall"}
"""Metrics of hallucinated mentions: a model lowers them by saying less."""
UNREAD = {"unread", "unreadable"}
"""Shares of answers that could not be read; left out of a comparison where both runs have none."""
COMPANIONS = {"cover", "recall", "length"}
"""Metrics that show when a model says less; they stand beside CHAIR_TYPE, gated or not."""


@dataclass(frozen=True)
class Run:
    """A complete run as loaded from its folder; scores by item id."""

    path: Path
    suite: str
    signature: str
    fields: Mapping[str, Any]
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class Pairing:
    """Two runs over the same items: a[i] and b[i] are scores of one item, both scored. left_out: scored in one or none."""

    suite: Suite
    signature: str
    a: tuple[Score, ...]
    b: tuple[Score, ...]
    left_out: tuple[Score, ...]

    def candidates(self) -> list[tuple[str, Metric]]:
        """(group, metric) of all that these runs hold, in the suite's order."""
        names = count_names((*self.a, *self.b))
        groups = reported_groups(self.suite, {score.group for score in self.a})
        return [(g, m) for g in groups for m in self.suite.metrics if g in m.groups and applies(m, names)]


@dataclass(frozen=True)
class Row:
    """One metric in one group: values of both runs, and the difference B - A with interval and p-value.

    None: undefined (0/0), or nothing is known of the spread. n: items scored in both; left_out: items that are not.
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
    images: int
    left_out: int
    better: Better
    unit: Unit


@dataclass(frozen=True)
class Compared:
    """A row of a comparison. verdict: on run B, from the p-value adjusted by Holm's method over the whole table."""

    row: Row
    p_holm: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """n: items scored in both runs; left_out: items of the suite that are not."""

    a: Path
    b: Path
    suite: str
    signature: str
    level: float
    n: int
    left_out: int
    rows: tuple[Compared, ...]


@dataclass(frozen=True)
class Gated:
    """A row of a gate. margin: how much worse is tolerated (how much different, where better is "neither")."""

    row: Row
    margin: float | None
    verdict: Outcome
    reason: str


@dataclass(frozen=True)
class Gate:
    """outcome: regression if any row is one, else inconclusive if any row is, else pass. n, left_out: as in Comparison."""

    run: Path
    baseline: Path
    suite: str
    signature: str
    level: float
    n: int
    left_out: int
    outcome: Outcome
    rows: tuple[Gated, ...]


def compare(
    a: Path, b: Path, level: float = LEVEL, folds: int = FOLDS, seed: int = 0, suite_file: str | None = None
) -> Comparison:
    """Every metric of two complete runs side by side. Raises InputError where they cannot be compared."""
    pairing = pair(load_run(a), load_run(b), suite_file)
    rows = measure(pairing, pairing.candidates(), level, folds, seed)
    rows = [row for row in rows if row.metric not in UNREAD or row.a or row.b]
    tested = [row.p for row in rows if row.p is not None]
    adjusted = iter(holm(tested))
    compared = []
    for row in rows:
        p_holm = None if row.p is None else next(adjusted)
        compared.append(Compared(row, p_holm, _verdict(row, p_holm, 1 - level)))
    n, left_out = len(pairing.a), len(pairing.left_out)
    return Comparison(a, b, pairing.suite.name, pairing.signature, level, n, left_out, tuple(compared))


def gate(
    run: Path,
    baseline: Path,
    margins: Path,
    level: float = LEVEL,
    folds: int = FOLDS,
    seed: int = 0,
    suite_file: str | None = None,
) -> Gate:
    """Non-inferiority of a run to a baseline, metric by metric.

    A regression only if the whole interval of the difference lies beyond the margin; a pass only if the whole interval
    lies within it; in between the data cannot decide.
    """
    pairing = pair(load_run(baseline), load_run(run), suite_file)
    wanted = resolve_margins(read_margins(margins, pairing.suite), pairing, margins)
    with_chair = {group for group, name in wanted if name in CHAIR_TYPE}
    shown = [
        (group, metric)
        for group, metric in pairing.candidates()
        if (group, metric.name) in wanted or (metric.name in COMPANIONS and group in with_chair)
    ]
    rows = tuple(
        _gated(row, wanted.get((row.group, row.metric))) for row in measure(pairing, shown, level, folds, seed)
    )
    verdicts = {row.verdict for row in rows}
    outcome: Outcome = next((v for v in ("regression", "inconclusive") if v in verdicts), "pass")
    n, left_out = len(pairing.a), len(pairing.left_out)
    return Gate(run, baseline, pairing.suite.name, pairing.signature, level, n, left_out, outcome, rows)


def load_run(path: Path) -> Run:
    """A complete run. Raises InputError for an unfinished or incomplete one, saying what is missing."""
    folder = RunFolder(path)
    manifest = folder.manifest()
    if manifest.get("status") != "complete":
        found = manifest.get("coverage")
        lacks = from_row(Coverage, found, str(folder.manifest_path)).complaint() if found else "it was not finished"
        raise InputError(
            f"{path}: only complete runs are compared, this one is {manifest.get('status')}: {lacks}. "
            "Go on with the command that began it"
        )
    rows = folder.read(Score, folder.scores_path)
    if not rows:
        raise InputError(f"{folder.scores_path}: expected one score per line, found none. Score the run again")
    scores: dict[str, Score] = {}
    for score in rows:
        if score.item in scores:
            raise InputError(
                f"{folder.scores_path}: item '{score.item}' stands there twice; expected one score per item"
            )
        if not isinstance(score.counts, dict) or not all(map(_is_count, score.counts.values())):
            raise InputError(f"{folder.scores_path}: item '{score.item}': counts must be numbers, found {score.counts}")
        scores[score.item] = score
    try:
        suite, fields = manifest["settings"]["suite"]["name"], manifest["signature_fields"]
        return Run(path, suite, manifest["signature"], fields, scores)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{folder.manifest_path}: missing field {error} of a complete run. Score the run again"
        ) from error


def pair(a: Run, b: Run, suite_file: str | None = None) -> Pairing:
    """The items that both runs have scored, and the suite by whose formulas they are compared, which must be those of the
    signature. suite_file: of a suite of the user's own. Raises InputError for other signatures, items or formulas."""
    both = scored_in_both(a, b)
    suite = named_suite(a.suite, suite_file)
    if suite.version != a.fields.get("version"):
        raise InputError(
            f"{a.path} and {b.path} were scored by version {a.fields.get('version')} of suite '{suite.name}', this is version "
            f"{suite.version}; score both again: halbench score --responses {a.path} --out DIR"
        )
    left_out = tuple(a.scores[item] for item in a.scores.keys() - both)
    scored_a, scored_b = (tuple(run.scores[item] for item in both) for run in (a, b))
    return Pairing(suite, a.signature, scored_a, scored_b, left_out)


def scored_in_both(a: Run, b: Run) -> list[str]:
    """The items that both runs have scored. Raises InputError for other signatures or other items."""
    if a.suite != b.suite:
        raise InputError(f"{a.path} is a run of suite '{a.suite}' and {b.path} of '{b.suite}'; expected one suite")
    if a.signature != b.signature or a.fields != b.fields:
        differences = "; ".join(differing_fields(a.fields, b.fields)) or f"{a.signature} there, {b.signature} here"
        raise InputError(
            f"{a.path} (there) and {b.path} (here) have different signatures, so their numbers cannot be compared: "
            f"{differences}. Run or score one of them again with the other's settings"
        )
    for one, other in ((a, b), (b, a)):
        extra = [item for item in one.scores if item not in other.scores]
        if extra:
            raise InputError(
                f"{one.path} has {len(extra)} items that {other.path} has not, the first is '{extra[0]}'; "
                "expected the same items in both, failed ones included"
            )
    moved = next((i for i, s in a.scores.items() if (s.image, s.group) != (b.scores[i].image, b.scores[i].group)), None)
    if moved is not None:
        raise InputError(f"{a.path} and {b.path}: item '{moved}' has another image or group there than here")
    both = [item for item, score in a.scores.items() if score.state == b.scores[item].state == "scored"]
    if not both:
        raise InputError(f"{a.path} and {b.path}: no item is scored in both")
    return both


def measure(
    pairing: Pairing, wanted: Sequence[tuple[str, Metric]], level: float = LEVEL, folds: int = FOLDS, seed: int = 0
) -> list[Row]:
    """The paired difference of each wanted (group, metric), in the order of the groups."""
    names = count_names((*pairing.a, *pairing.b))
    rows = []
    for group in dict.fromkeys(group for group, _ in wanted):
        members = pairing.suite.groups[group]
        a, b = (cluster_sums([s for s in scores if s.group in members], names) for scores in (pairing.a, pairing.b))
        draws, swaps = (draw(len(a.clusters), folds, seed) for draw in (bootstrap_draws, swap_draws))
        n = sum(score.group in members for score in pairing.a)
        left_out = sum(score.group in members for score in pairing.left_out)
        for metric in (metric for wanted_group, metric in wanted if wanted_group == group):
            test = paired_test(metric, a, b, draws, swaps, level)
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
                    images=len(a.clusters),
                    left_out=left_out,
                    better=metric.better,
                    unit=metric.unit,
                )
            )
    return rows


def read_margins(path: Path, suite: Suite) -> dict[str, float]:
    """Margins by "metric" or "group/metric", from a YAML or JSON file that names suites on top or not."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); expected margins such as 'chair: 0.01'"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: neither YAML nor JSON ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected margins such as 'chair: 0.01', found {type(content).__name__}")
    if any(isinstance(value, dict) for value in content.values()):
        if suite.name not in content:
            raise InputError(
                f"{path}: no margins for suite '{suite.name}'{did_you_mean(suite.name, map(str, content))}"
            )
        content = content[suite.name]
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected margins such as 'chair: 0.01' for suite '{suite.name}', found {content!r}")
    for name, margin in content.items():
        if type(margin) not in (int, float) or not 0 <= margin < math.inf:
            raise InputError(
                f"{path}: margin of '{name}' must be a number from 0 up, written like 0.01; found {margin!r}"
            )
    return {str(name): float(margin) for name, margin in content.items()}


def resolve_margins(margins: Mapping[str, float], pairing: Pairing, path: Path) -> dict[tuple[str, str], float]:
    """Margin of each (group, metric); one with a group goes before one without. path: named in errors."""
    everything = [(group, metric) for metric in pairing.suite.metrics for group in metric.groups]
    known = {metric.name for _, metric in everything} | {f"{group}/{metric.name}" for group, metric in everything}
    resolved: dict[tuple[str, str], float] = {}
    for name in sorted(margins, key=lambda name: "/" in name):
        if name not in known:
            raise InputError(
                f"{path}: unknown metric '{name}' of suite '{pairing.suite.name}'{did_you_mean(name, known)}"
            )
        found = [(g, m) for g, m in pairing.candidates() if name in (m.name, f"{g}/{m.name}")]
        if not found:
            raise InputError(f"{path}: a margin for '{name}', but these runs hold no scored response for it")
        if margins[name] >= 1 and any(metric.unit == "fraction" for _, metric in found):
            raise InputError(
                f"{path}: margin {margins[name]} of '{name}' allows anything; it is a fraction, 0.01 is one point"
            )
        resolved |= {(group, metric.name): margins[name] for group, metric in found}
    return resolved


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _verdict(row: Row, p_holm: float | None, alpha: float) -> Verdict:
    if p_holm is None or row.difference is None:
        return "undefined"
    if p_holm > alpha:
        return "no difference shown"
    if row.better == "neither":
        return "higher" if row.difference > 0 else "lower"
    return "better" if (row.difference > 0) == (row.better == "higher") else "worse"


def _gated(row: Row, margin: float | None) -> Gated:
    """The verdict on one row and its reason, in words."""
    if margin is None:
        return Gated(row, None, "not gated", "stands beside the gated metrics, because saying less lowers those")
    if row.difference is None:
        return Gated(row, margin, "inconclusive", "undefined (0/0) in one of the runs")
    if row.low is None or row.high is None:
        return Gated(row, margin, "inconclusive", "no interval: nothing varies from image to image")
    tolerated = f"{format_amount(margin, row.unit)} tolerated"
    if row.better == "neither":
        sides = max(0.0, row.low, -row.high), max(-row.low, row.high)
        word = "different"
    else:
        sides = (-row.high, -row.low) if row.better == "higher" else (row.low, row.high)
        word = "worse"
    least, most = sides
    if least > margin:
        return Gated(row, margin, "regression", f"{word} by at least {format_amount(least, row.unit)}, {tolerated}")
    if most <= margin:
        bound = f"{word} by at most {format_amount(most, row.unit)}" if most > 0 else f"not {word}"
        return Gated(row, margin, "pass", f"{bound}, {tolerated}")
    reason = f"perhaps {word} by {format_amount(most, row.unit)}, {tolerated}"
    if row.smallest_detectable is not None:
        reason += (
            f"; {row.images} images show a difference of {format_amount(row.smallest_detectable, row.unit)} or more"
        )
    return Gated(row, margin, "inconclusive", reason)
