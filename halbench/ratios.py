"""Metrics that are quotients of summed counts, and how official scripts round them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from halbench.types import Better, Metric, Unit


def divide(numerator: Any, denominator: Any) -> Any:
    """numerator / denominator, element by element on arrays; nan where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    quotient = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient[()]


def ratio_metric(
    name: str,
    numerator: str,
    denominator: str,
    better: Better,
    *,
    unit: Unit = "fraction",
    groups: tuple[str, ...] = ("all",),
    official: Any = None,
) -> Metric:
    """A metric that is one summed count over another."""

    def value(counts: Mapping[str, Any]) -> Any:
        return divide(counts[numerator], counts[denominator])

    return Metric(name, value, better, unit, groups, ratio=(numerator, denominator), official=official)


def percent_printed(numerator: str, denominator: str, digits: int) -> Any:
    """What a script prints with a format like f"{100 * numerator / denominator:.1f}"; None where it would divide by 0."""

    def official(counts: Mapping[str, float], group: str) -> float | None:
        if not counts[denominator]:
            return None
        return float(f"{counts[numerator] / counts[denominator] * 100:.{digits}f}")

    return official
