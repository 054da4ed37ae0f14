"""The gate: is a run worse than a baseline by more than a margin?

A metric is a regression only if the whole interval of its paired difference is beyond the margin, and passes only if the
whole interval is within it; otherwise the data cannot decide.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from halbench.comparing.comparison import Row, Run, load_run, measure, pair
from halbench.comparing.margins import SHORTER, Key, Margin, resolve_margins
from halbench.statistics.resampling import STANDARD, Resampling
from halbench.terminal.formatting import format_amount
from halbench.types import Suite

Outcome = Literal["pass", "regression", "inconclusive", "not gated"]


@dataclass(frozen=True)
class GateRow:
    """A row of a gate. margin: the tolerated worsening in the metric's unit (the tolerated change, if better is "neither");
    None if the row is only shown next to gated ones. shipped: whether the margin is halbench's own. bound_by: the metric
    whose margin binds this one."""

    row: Row
    margin: float | None
    verdict: Outcome
    reason: str
    shipped: bool = False
    bound_by: str | None = None


@dataclass(frozen=True)
class Gate:
    """The result of a gate. outcome: the worst verdict of its rows. n, left_out: as in Comparison."""

    run: Path
    baseline: Path
    suite: str
    signature: str
    level: float
    n: int
    left_out: int
    outcome: Outcome
    rows: tuple[GateRow, ...]


def gate(
    run: Path,
    baseline: Path,
    margins: Path | None = None,
    resampling: Resampling = STANDARD,
    suite_file: str | None = None,
) -> Gate:
    """Non-inferiority of a run to a baseline, metric by metric. margins: a file, None for halbench's own margins."""
    return gate_runs(load_run(run), load_run(baseline), margins, resampling, suite_file)


def gate_runs(
    run: Run,
    baseline: Run,
    margins: Path | Mapping[str, float] | None = None,
    resampling: Resampling = STANDARD,
    suite_file: str | None = None,
) -> Gate:
    """Non-inferiority of a loaded run to a loaded baseline. margins: a file, a mapping from "metric" or "group/metric", or
    None for halbench's own."""
    pairing = pair(baseline, run, suite_file)
    tolerated = resolve_margins(margins, pairing)
    companions = {companion for key in tolerated for companion in pairing.suite.companions(*key)}
    shown = [(g, m) for g, m in pairing.candidates() if (g, m.name) in tolerated.keys() | companions]
    present = {(g, m.name) for g, m in shown}
    rows = tuple(
        gated(row, tolerated.get((row.group, row.metric)), pairing.suite, present)
        for row in measure(pairing, shown, resampling)
    )
    verdicts = {row.verdict for row in rows}
    outcome: Outcome = next((v for v in ("regression", "inconclusive") if v in verdicts), "pass")
    n, left_out = len(pairing.a), len(pairing.left_out)
    return Gate(
        run.path, baseline.path, pairing.suite.name, pairing.signature, resampling.level, n, left_out, outcome, rows
    )


def gated(row: Row, margin: Margin | None, suite: Suite, present: Set[Key] = frozenset()) -> GateRow:
    """The verdict on one row, with its reason. present: what the table has."""
    if margin is None:
        return GateRow(row, None, "not gated", f"companion of {companion_of((row.group, row.metric), suite, present)}")
    amount = margin.amount if margin.amount is not None else SHORTER * abs(row.a or 0.0)
    verdict, reason = verdict_of(row, amount, margin.falling)
    if margin.bound_by is not None:
        reason += f"; gated as a companion of {margin.bound_by}"
    return GateRow(row, amount, verdict, reason, not margin.explicit, margin.bound_by)


def companion_of(key: Key, suite: Suite, present: Set[Key]) -> str:
    """The metrics among these that name this (group, metric) as a companion: "chair, hal"."""
    return ", ".join(
        m.name
        for m in suite.metrics
        if any(key in suite.companions(g, m.name) for g in m.groups if (g, m.name) in present)
    )


def verdict_of(row: Row, margin: float, falling: bool) -> tuple[Outcome, str]:
    """Whether the interval of a difference is within the margin, beyond it, or neither; and why. falling: only a decrease
    counts as worse."""
    if row.difference is None:
        return "inconclusive", "undefined (0/0) in one of the runs"
    if row.low is None or row.high is None:
        return "inconclusive", "no interval, since nothing varies between images"
    tolerated = f"{format_amount(margin, row.unit)} tolerated"
    if row.better == "higher" or falling:
        word, least, most = "lower" if falling else "worse", -row.high, -row.low
    elif row.better == "lower":
        word, least, most = "worse", row.low, row.high
    else:
        word, least, most = "different", max(0.0, row.low, -row.high), max(-row.low, row.high)
    if least > margin:
        return "regression", f"{word} by at least {format_amount(least, row.unit)}, {tolerated}"
    if most <= margin:
        bound = f"{word} by at most {format_amount(most, row.unit)}" if most > 0 else f"not {word}"
        return "pass", f"{bound}, {tolerated}"
    reason = f"may be {word} by up to {format_amount(most, row.unit)}, {tolerated}"
    if row.smallest_detectable is not None:
        reason += (
            f"; with {row.clusters} images the smallest detectable difference is "
            f"{format_amount(row.smallest_detectable, row.unit)}"
        )
    return "inconclusive", reason
