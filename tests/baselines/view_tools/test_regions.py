"""Which region a keyword means."""

import pytest

from baselines.view_tools.regions import same_object
from halbench.scoring_tools.language import Language


@pytest.mark.parametrize(
    ("keyword", "name", "same"),
    [
        ("dog", "dogs", True),
        ("light", "traffic light", True),
        ("bike", "bicycle", True),
        ("couch", "sofa", True),
        ("dog", "cat", False),
        ("traffic", "traffic light", False),
        ("blorp", "dog", False),
    ],
)
def test_a_keyword_finds_its_region_by_lemma_head_or_synonym(keyword: str, name: str, same: bool, language: Language):
    assert same_object(keyword, name, language) is same
