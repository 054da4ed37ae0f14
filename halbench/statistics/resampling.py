"""How intervals and tests resample. Imports no numpy, so that the command line can show these flags at once."""

from dataclasses import dataclass

from halbench.settings import option

N_RESAMPLES = 10_000
"""Number of bootstrap replicates of an interval, and of random swaps of a test."""
LEVEL = 0.95
"""Confidence level of intervals."""


@dataclass(frozen=True)
class Resampling:
    """How differences of two runs are resampled."""

    level: float = option(
        LEVEL,
        "Confidence level of intervals; tests use alpha = 1 - level.",
        minimum=0.5,
        maximum=0.999,
        metavar="P",
    )
    n_resamples: int = option(
        N_RESAMPLES,
        "Number of bootstrap resamples, and of random swaps in permutation tests.",
        "--resamples",
        minimum=100,
        metavar="N",
    )
    seed: int = option(0, "Random seed of the resamples.", minimum=0, metavar="N")


STANDARD = Resampling()
