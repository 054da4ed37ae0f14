"""The gate: is a run worse than a baseline by more than a margin?

A metric is a regression only if the whole interval of its paired difference is beyond the margin, and passes only if the
whole interval is within it; otherwise the data cannot decide. An incomplete run never passes. The error rates are in
tests/halbench/comparing/test_gating_error_rates.py.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from halbench.comparing.comparison import Row, Run, basis_of, load_run, measure, pair
from halbench.comparing.margins import SHORTER, Key, Margin, resolve_margins
from halbench.statistics.resampling import STANDARD, Resampling
from halbench.terminal.formatting import format_amount
from halbench.types import Suite

ROUNDING = 1e-9
"""Bounds of bootstrap intervals are often whole numbers of images; one that equals the margin is neither within nor beyond."""

Outcome = Literal["pass", "regression", "inconclusive", "not gated", "incomplete"]


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
    """The result of a gate. outcome: the worst verdict of its rows, or "incomplete" if one of the runs is. n, left_out, notes,
    incomplete: see Basis."""

    run: Path
    baseline: Path
    suite: str
    signature: str
    level: float
    n: int
    left_out: int
    notes: tuple[str, ...]
    incomplete: tuple[str, ...]
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
    if lacking := run.lacks(baseline):
        keys = [(row.row.group, row.row.metric) for row in rows]
        rows = tuple(
            without_chosen_gaps(row, tolerated[key].falling, lacking, run.slack(*key)) if key in tolerated else row
            for row, key in zip(rows, keys, strict=True)
        )
    basis, verdicts = basis_of({"baseline": baseline, "run": run}, pairing), {row.verdict for row in rows}
    outcome: Outcome = next((v for v in ("regression", "inconclusive") if v in verdicts), "pass")
    if basis.incomplete:
        outcome, rows = "incomplete", tuple(undecided(row) for row in rows)
    return Gate(
        run.path,
        baseline.path,
        pairing.suite.name,
        pairing.signature,
        resampling.level,
        **vars(basis),
        outcome=outcome,
        rows=rows,
    )


def without_chosen_gaps(row: GateRow, falling: bool, lacking: int, slack: float | None) -> GateRow:
    """The row without a pass that the items lacking in the run alone could undo: a model may fail on those that it answers
    worst. lacking: their number; slack: by how much they could worsen the value, None for without limit."""
    if row.verdict != "pass" or row.margin is None:
        return row
    low, high = row.row.low, row.row.high
    if slack is not None and low is not None and high is not None:
        widened = replace(row.row, low=low - slack, high=high + slack)
        if verdict_of(widened, row.margin, falling)[0] == "pass":
            return row
    reason = f"{row.reason}, but {lacking} items that the baseline has lack a score in the run and could change that"
    return replace(row, verdict="inconclusive", reason=reason)


def undecided(row: GateRow) -> GateRow:
    """The row with its regression, but no other verdict: what an incomplete run lacks could decide otherwise."""
    if row.verdict in ("regression", "not gated"):
        return row
    return replace(row, verdict="incomplete", reason=f"{row.reason}, but a run is incomplete")


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
    if least - margin > ROUNDING:
        return "regression", f"{word} by at least {format_amount(least, row.unit)}, {tolerated}"
    if margin - most > ROUNDING:
        bound = f"{word} by at most {format_amount(most, row.unit)}" if most > 0 else f"not {word}"
        return "pass", f"{bound}, {tolerated}"
    reason = f"may be {word} by up to {format_amount(most, row.unit)}, {tolerated}"
    if row.smallest_detectable is not None:
        reason += (
            f"; with {row.clusters} images the smallest detectable difference is "
            f"{format_amount(row.smallest_detectable, row.unit)}"
        )
    return "inconclusive", reason
