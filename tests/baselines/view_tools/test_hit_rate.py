"""How often key objects were found."""

from baselines.view_tools.hit_rate import HitRate, hit_rate


def test_the_hit_rate_counts_keywords_and_images_without_any():
    notes = [{"keywords": ["dog", "ball"], "hit": ["dog"]}, {"keywords": ["cat"], "hit": []}, {"boxes": []}]
    assert hit_rate(notes) == HitRate(keywords=3, hit=1, pairs=2, whole=1)
    assert str(hit_rate(notes)) == "1 of 3 keywords found (33%); 1 of 2 images noised all over"


def test_views_that_look_for_nothing_have_none():
    assert hit_rate([{}, {"boxes": []}]) is None


def test_no_keywords_at_all_are_no_share():
    assert str(hit_rate([{"keywords": [], "hit": []}])) == "0 of 0 keywords found; 1 of 1 images noised all over"
