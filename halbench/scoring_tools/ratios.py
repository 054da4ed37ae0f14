"""Metrics that are quotients of summed counts, those that suites of descriptions share, and how official scripts round."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from halbench.types import Better, Metric


def divide(numerator: Any, denominator: Any) -> Any:
    """numerator / denominator, element by element on arrays; nan for a denominator of 0."""
    numerator, denominator = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    quotient = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient[()]


def ratio_metric(name: str, numerator: str, denominator: str, better: Better, **fields: Any) -> Metric:
    """A metric that is one summed count over another. fields: the other fields of Metric."""

    def value(counts: Mapping[str, Any]) -> Any:
        return divide(counts[numerator], counts[denominator])

    return Metric(name, value, better, ratio=(numerator, denominator), **fields)


def hallucinated_mentions(name: str, numerator: str, denominator: str, **fields: Any) -> Metric:
    """The share of mentioned objects that are not in the image; a headline number."""
    return _headline(name, numerator, denominator, "lower", "hallucinated share of mentioned objects", fields)


def hallucinated_texts(name: str, numerator: str, denominator: str, **fields: Any) -> Metric:
    """The share of descriptions, captions or answers (the denominator's name) that hallucinate; a headline number."""
    plural = denominator.partition("_")[0]
    return _headline(name, numerator, denominator, "lower", f"share of {plural} that hallucinate", fields)


def named_share(name: str, numerator: str, denominator: str, **fields: Any) -> Metric:
    """The share of an image's objects that are mentioned: recall, cover; a headline number."""
    return _headline(name, numerator, denominator, "higher", "share of the image's objects that are mentioned", fields)


def length(denominator: str, **fields: Any) -> Metric:
    """Words per description, caption or answer (the denominator's name); a headline number."""
    singular = denominator.removesuffix("s")
    return _headline("length", "words", denominator, "neither", f"words per {singular}", {"unit": "words", **fields})


def _headline(
    name: str, numerator: str, denominator: str, better: Better, description: str, fields: Mapping[str, Any]
) -> Metric:
    """A ratio that is a main metric of all its groups, unless `fields` says otherwise."""
    defaults = {"main": fields.get("groups", ("all",)), "description": description}
    return ratio_metric(name, numerator, denominator, better, **{**defaults, **fields})


def percent_printed(numerator: str, denominator: str, digits: int) -> Any:
    """What a script prints with a format like f"{100 * numerator / denominator:.1f}"; None if it would divide by 0."""

    def official(counts: Mapping[str, float], group: str) -> float | None:
        if not counts[denominator]:
            return None
        return float(f"{counts[numerator] / counts[denominator] * 100:.{digits}f}")

    return official
