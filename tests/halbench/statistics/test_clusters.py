"""Counts summed per image, and random draws of images."""

import numpy as np
import pytest
from image_counts import RATE

from halbench.statistics.clusters import bootstrap_draws, cluster_sums, count_names, estimate, swap_draws
from halbench.types import Score


def test_counts_are_summed_per_image_and_only_over_scored_responses():
    scores = [
        Score("1", "b.jpg", "all", {"hits": 1, "asked": 2}),
        Score("2", "a.jpg", "all", {"asked": 3}),
        Score("3", "b.jpg", "all", {"hits": 2, "asked": 2}),
        Score("4", "c.jpg", "all", {"hits": 9}, state="unscored"),
    ]
    sums = cluster_sums(scores, count_names(scores))
    assert sums.names == ("hits", "asked")
    assert sums.clusters == ("a.jpg", "b.jpg")
    assert sums.matrix.tolist() == [[0, 3], [3, 4]]
    assert estimate(RATE, sums) == 3 / 7


def test_no_score_at_all_gives_an_undefined_value():
    assert estimate(RATE, cluster_sums([], ("hits", "asked"))) is None


def test_each_replicate_draws_n_of_n_images_and_every_image_about_once():
    weights = bootstrap_draws(40, 3000).weights.astype(int)
    assert set(weights.sum(axis=1)) == {40}
    assert np.abs(weights.mean(axis=0) - 1).max() < 0.1
    assert weights.var() == pytest.approx(1 - 1 / 40, rel=0.05)  # multinomial


def test_a_swap_is_a_fair_coin():
    coins = swap_draws(37, 4000).weights
    assert set(np.unique(coins)) == {0, 1}
    assert np.abs(coins.mean(axis=0) - 0.5).max() < 0.04


def test_draws_depend_on_seed_and_number_of_images_alone():
    first = bootstrap_draws(30, 200, seed=3).weights.copy()
    bootstrap_draws.cache_clear()
    bootstrap_draws(31, 200, seed=3)
    assert (bootstrap_draws(30, 200, seed=3).weights == first).all()
    assert (bootstrap_draws(30, 200, seed=4).weights != first).any()


def test_weighted_sums_equal_a_plain_loop_over_the_drawn_images():
    draws = bootstrap_draws(7, 1234)
    matrix = np.random.default_rng(0).integers(0, 50, size=(7, 3)).astype(float)
    loop = [
        sum(weight * row for weight, row in zip(weights, matrix, strict=True)) for weights in draws.weights.tolist()
    ]
    assert (draws.sums(matrix) == np.array(loop)).all()
