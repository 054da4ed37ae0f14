"""Opening views and what they need."""

from pathlib import Path

import pytest

from baselines.types import Pair
from baselines.view_tools.keywords import (
    LETTERS,
)
from baselines.view_tools.tools import Tools, open_tools, open_view
from baselines.view_tools.variants import make_variant
from halbench.data.datasets import Data
from halbench.errors import InputError


def test_a_view_without_what_it_needs_says_so(dog_pairs: list[Pair]):
    with pytest.raises(InputError, match="view 'adversarial' needs a model; give --model"):
        make_variant("adversarial", dog_pairs[0], 0, Tools())
    with pytest.raises(InputError, match="unknown view 'crop'; did you mean 'cropped'"):
        make_variant("crop", dog_pairs[0], 0, Tools())


def test_open_tools_opens_what_the_views_name(dog_pairs: list[Pair], data: Data):
    assert open_tools(["chosen", "cropped"], dog_pairs, data).language is None
    assert open_tools(["chosen", "region_noised"], dog_pairs, data).language is not None


def test_letters_are_the_default_similarity():
    assert Tools().similarity is LETTERS


VIEW = """
from baselines.types import Variant

VERSION, NEEDS = "1", ()

def make(pair, seed, tools):
    return Variant(pair.prompt, pair.chosen)
"""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('VERSION, NEEDS = "1", ()', 'VERSION = "1"', "does not define NEEDS"),
        ("def make(", "def view(", "does not define make"),
        ("()", "('picture',)", "NEEDS: expected a tuple of .*, found \\('picture',\\)"),
        ("()", "'pairs'", "NEEDS: expected a tuple of .*, found 'pairs'"),
        ('"1"', "1", "VERSION: expected text, found 1"),
        ("VERSION", "USES = 'grounder'\nVERSION", "USES: expected a tuple of .*, found 'grounder'"),
    ],
)
def test_a_file_that_is_no_view_is_refused_by_its_name(tmp_path: Path, old: str, new: str, complaint: str):
    path = tmp_path / "own_view.py"
    path.write_text(VIEW.replace(old, new, 1))
    with pytest.raises(InputError, match=f"own_view.py: {complaint}"):
        open_view(str(path))
