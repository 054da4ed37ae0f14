"""Keys of log-probs."""

from counted_scorer import example


def test_another_image_is_another_entry():
    assert example(1).keys() != example(1, image="black").keys()
