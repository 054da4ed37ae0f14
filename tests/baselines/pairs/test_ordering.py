"""The order of pairs: fixed by its arguments, complete, and from easy to hard where a curriculum is asked for."""

import pytest

from baselines.pairs.ordering import curriculum, first_pairs, shuffled, whole_steps


def test_every_epoch_holds_every_pair_once_in_an_order_of_its_own():
    first, second = shuffled(50, epochs=2, seed=3)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_the_same_seed_gives_the_same_order_and_another_one_another():
    assert shuffled(50, 2, seed=3) == shuffled(50, 2, seed=3)
    assert shuffled(50, 2, seed=3) != shuffled(50, 2, seed=4)


def test_a_longer_training_starts_like_a_shorter_one():
    assert shuffled(50, epochs=3, seed=0)[:2] == shuffled(50, epochs=2, seed=0)


@pytest.mark.parametrize(
    ("pairs", "kept"), [(None, [[0, 1], [2, 3]]), (2, [[0, 1]]), (3, [[0, 1], [2]]), (9, [[0, 1], [2, 3]])]
)
def test_a_training_that_stops_early_has_the_first_pairs_alone(pairs, kept):
    assert first_pairs([[0, 1], [2, 3]], pairs) == kept


def test_a_curriculum_goes_through_thirds_of_rising_difficulty():
    difficulty = [0.9, 0.1, 0.5, 0.2, 0.8, 0.4, 0.7, 0.3, 0.6]
    (epoch,) = curriculum(difficulty, epochs=1, seed=0)
    thirds = [sorted(difficulty[index] for index in epoch[start : start + 3]) for start in (0, 3, 6)]
    assert thirds == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]


def test_within_a_stage_pairs_are_shuffled_by_the_seed():
    difficulty = [float(index) for index in range(60)]
    (epoch,) = curriculum(difficulty, epochs=1, seed=0)
    assert sorted(epoch[:20]) == list(range(20)) != epoch[:20]
    assert curriculum(difficulty, 1, seed=1) != [epoch]


@pytest.mark.parametrize(("count", "size", "filled"), [(7, 4, 8), (8, 4, 8), (2, 5, 5)])
def test_an_epoch_is_filled_up_to_whole_steps_from_its_own_start(count, size, filled):
    order = whole_steps(list(range(count)), size)
    assert len(order) == filled
    assert order == [index % count for index in range(filled)]
