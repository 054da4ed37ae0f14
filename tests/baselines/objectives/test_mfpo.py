"""MFPO is mDPO's loss on another view and in another order; see test_mdpo.py for the numbers."""

from baselines.objectives import mdpo, mfpo


def test_mfpo_noises_regions_and_trains_from_easy_to_hard():
    assert mfpo.VIEWS == ("chosen", "rejected", "region_noised")
    assert (mfpo.Config().order, mdpo.Config().order) == ("curriculum", "shuffled")
