"""The pass of the reference model: nothing is computed twice, and values go to the right tokens."""

import pytest
import torch
from counted_scorer import IDENTITY, Scorer, example, fill

from baselines.encoding.reference import FLUSH, precompute, reference_values
from baselines.encoding.reference_cache import ReferenceCache
from baselines.encoding.sequences import Branch, Example, TokenSequence
from halbench.errors import InputError


def test_what_was_computed_once_is_never_computed_again(tmp_path):
    first, second = Scorer(), Scorer()
    fill(ReferenceCache(tmp_path, IDENTITY), first)
    cache = ReferenceCache(tmp_path, IDENTITY)
    fill(cache, second)
    assert (first.sequences, second.sequences) == (4, 0)
    assert reference_values([example(3)], cache).tolist() == [-3 / 8, -1 / 8, -3 / 8, -2 / 8, -3 / 8]


def test_another_objective_pays_for_its_own_views_only(tmp_path):
    cache, scorer = ReferenceCache(tmp_path, IDENTITY), Scorer()
    fill(cache, scorer)
    cropped = TokenSequence(example(1).sequences[0].inputs, "crop", (Branch("cropped", torch.tensor([1, 1])),))
    list(precompute([[Example("1", (*example(1).sequences, cropped))]], cache, scorer, None))
    assert scorer.sequences == 5


def test_a_killed_pass_resumes_after_its_last_file(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(ReferenceCache(tmp_path, IDENTITY), Scorer(fails_after=2 * FLUSH + 6), count=4 * FLUSH)
    again = Scorer()
    fill(ReferenceCache(tmp_path, IDENTITY), again, count=4 * FLUSH)
    assert again.sequences == 2 * FLUSH


def test_pairs_that_are_too_long_are_not_run(tmp_path):
    scorer = Scorer()
    infos = fill(ReferenceCache(tmp_path, IDENTITY), scorer, longest=5)
    assert [pair.length for pair in infos] == [6, 6, 6, 6]
    assert scorer.sequences == 0


def test_difficulty_is_the_mean_token_entropy_of_the_chosen_answer(tmp_path):
    infos = fill(ReferenceCache(tmp_path, IDENTITY), Scorer())
    assert infos[3].entropy == pytest.approx((3 / 4 + 1 / 4) / 2)


def test_a_view_that_comes_out_differently_is_refused(tmp_path):
    cache = ReferenceCache(tmp_path, IDENTITY)
    fill(cache, Scorer())
    with pytest.raises(InputError, match="pair 1: its view 'chosen' is not the one"):
        reference_values([example(1, image="another crop")], cache)
