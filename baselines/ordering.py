"""The order in which pairs are trained: shuffled, or as a curriculum from easy to hard. Known before training starts.

Every epoch is filled up to whole steps with its own first pairs, so that all steps have one size whatever the number of
processes, and no pair is left out.
"""

from collections.abc import Sequence
from random import Random

from halbench.records import content_hash

STAGES = 3  # easy, medium, hard (MFPO)


def shuffled(count: int, epochs: int, seed: int) -> list[list[int]]:
    """One permutation of range(count) per epoch; depends on nothing but the arguments."""
    return [_permutation(range(count), seed, epoch, 0) for epoch in range(epochs)]


def curriculum(difficulty: Sequence[float], epochs: int, seed: int) -> list[list[int]]:
    """Per epoch: the third of lowest difficulty, the middle one, the highest; each shuffled.

    MFPO ranks by entropy and trains easy -> medium -> hard; passes per stage are not published. Ours: one pass per stage
    and epoch. Ties keep the order of the data.
    """
    ranked = sorted(range(len(difficulty)), key=lambda index: difficulty[index])
    cuts = [len(ranked) * stage // STAGES for stage in range(STAGES + 1)]
    return [
        [
            index
            for stage in range(STAGES)
            for index in _permutation(ranked[cuts[stage] : cuts[stage + 1]], seed, epoch, stage)
        ]
        for epoch in range(epochs)
    ]


def _permutation(indices: Sequence[int], seed: int, epoch: int, stage: int) -> list[int]:
    found = list(indices)
    Random(int(content_hash([seed, epoch, stage]), 16)).shuffle(found)
    return found


def first_steps(epochs: Sequence[Sequence[int]], pairs: int | None) -> list[list[int]]:
    """The epochs, up to so many pairs in all; None for every pair."""
    found, left = [], sum(map(len, epochs)) if pairs is None else pairs
    for epoch in epochs:
        found.append(list(epoch[:left]))
        left -= len(found[-1])
    return [epoch for epoch in found if epoch]


def whole_steps(order: Sequence[int], batch_size: int) -> list[int]:
    """The order, continued from its start until it makes whole steps."""
    missing = -len(order) % batch_size
    return [*order, *(order[index % len(order)] for index in range(missing))]
