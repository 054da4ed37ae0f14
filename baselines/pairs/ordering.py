"""The order in which pairs are trained: shuffled, or as a curriculum from easy to hard. Fixed before training starts.

Every epoch is filled up to whole steps with its own first pairs, so that all steps have one size whatever the number of
processes, and no pair is left out.
"""

from collections.abc import Sequence
from random import Random

from halbench.files.records import content_hash

STAGES = 3  # easy, medium, hard (MFPO)


def shuffled(count: int, epochs: int, seed: int) -> list[list[int]]:
    """One permutation of range(count) per epoch; depends on nothing but the arguments."""
    return [_permutation(range(count), seed, epoch, 0) for epoch in range(epochs)]


def curriculum(difficulty: Sequence[float], epochs: int, seed: int) -> list[list[int]]:
    """Per epoch: the third of lowest difficulty, the middle one, the highest; each shuffled.

    MFPO ranks by entropy and trains easy -> medium -> hard; passes per stage are not published. Ours: one pass per
    stage and epoch. Ties keep the order of the data.
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
    permuted = list(indices)
    Random(int(content_hash([seed, epoch, stage]), 16)).shuffle(permuted)
    return permuted


def first_pairs(epochs: Sequence[Sequence[int]], count: int | None) -> list[list[int]]:
    """The epochs, cut after `count` pairs in all; None keeps every pair."""
    kept, left = [], sum(map(len, epochs)) if count is None else count
    for epoch in epochs:
        kept.append(list(epoch[:left]))
        left -= len(kept[-1])
    return [epoch for epoch in kept if epoch]


def whole_steps(order: Sequence[int], batch_size: int) -> list[int]:
    """The order, continued from its start until it fills whole steps."""
    missing = -len(order) % batch_size
    return [*order, *(order[index % len(order)] for index in range(missing))]
