"""The nouns: what they fill in by themselves, and what they refuse."""

from pathlib import Path

import pytest

from halbench.errors import InputError
from halbench.scoring_tools.ratios import ratio_metric
from halbench.suites import amber
from halbench.types import Item, Score, read_batch_size


@pytest.mark.parametrize(
    ("images", "cluster"),
    [((Path("a/1.jpg"),), "1.jpg"), ((Path("1.jpg"), Path("b/2.jpg")), "1.jpg+2.jpg"), ((), "q1")],
    ids=["one image", "two images", "no image"],
)
def test_the_cluster_of_an_item_is_its_images_or_the_item_itself(images, cluster):
    assert Item("q1", images, "Is it?", "yes", "all").cluster == cluster


def test_a_suite_may_choose_the_cluster():
    assert Item("q1", (Path("1.jpg"),), "Is it?", "yes", "all", cluster="set 3").cluster == "set 3"


def test_images_that_are_no_tuple_are_refused():
    with pytest.raises(TypeError, match=r"Item\.images: expected a tuple of paths"):
        Item("q1", Path("1.jpg"), "Is it?", "yes", "all")  # type: ignore[arg-type]


def test_a_score_takes_cluster_and_group_from_its_item():
    item = Item("q1", (), "Is it?", "yes", "easy", cluster="set 3")
    assert Score.of(item, {"right": 1}) == Score("q1", "set 3", "easy", {"right": 1})


def test_a_metric_is_labelled_by_its_name_in_words_unless_it_has_a_label():
    assert ratio_metric("figure_accuracy", "a", "b", "higher").label == "Figure accuracy"
    assert ratio_metric("chair_i", "a", "b", "lower", label="CHAIRi").label == "CHAIRi"


def test_companions_are_named_in_the_same_group_or_in_another():
    assert amber.SUITE.companions("generative", "chair") == [("generative", "cover"), ("generative", "length")]
    assert amber.SUITE.companions("all", "amber_score") == [("generative", "cover"), ("generative", "length")]
    assert amber.SUITE.companions("generative", "cover") == []


@pytest.mark.parametrize(("text", "size"), [("auto", "auto"), ("1", 1), ("64", 64)])
def test_a_batch_size_is_auto_or_a_number(text, size):
    assert read_batch_size("--batch-size", text) == size


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "", "²"])
def test_other_batch_sizes_are_refused(text):
    with pytest.raises(InputError, match=rf"--batch-size {text}: expected a number from 1, or auto"):
        read_batch_size("--batch-size", text)
