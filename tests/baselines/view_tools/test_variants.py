"""Making variants, with views of halbench and of one's own."""

from pathlib import Path

import pytest
from dog_pairs import changed, image_of

from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant
from halbench.errors import InputError


def test_a_view_can_be_a_file_of_ones_own(tmp_path: Path, dog_pairs: list[Pair], tools: Tools):
    path = tmp_path / "mirrored.py"
    path.write_text(
        "from PIL import ImageOps\n"
        "from baselines.types import Variant\n"
        "from halbench.models.images import open_image\n"
        "VERSION, NEEDS = '1', ()\n"
        "def make(pair, seed, tools):\n"
        "    mirrored = tuple(ImageOps.mirror(open_image(path)) for path in pair.images)\n"
        "    return Variant(pair.prompt, pair.chosen, mirrored)\n"
    )
    assert changed(dog_pairs[0], image_of(make_variant(str(path), dog_pairs[0], 0, tools))).any()


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        ("None", "expected Variant, found NoneType"),
        ("pair.chosen", "expected Variant, found str"),
        ("Variant(pair.prompt, 5)", "answer: expected str, found int"),
        ("Variant(pair.prompt, pair.chosen, open_image(pair.images[0]))", "images: expected tuple, found Image"),
        ("Variant(pair.prompt, pair.chosen, pair.images)", "images: expected Image, found PosixPath"),
    ],
)
def test_what_a_view_of_ones_own_returns_is_checked(tmp_path, dog_pairs, tools, result: str, complaint: str):
    path = tmp_path / "own_view.py"
    path.write_text(
        "from baselines.types import Variant\n"
        "from halbench.models.images import open_image\n"
        "VERSION, NEEDS = '1', ()\n"
        "def make(pair, seed, tools):\n"
        f"    return {result}\n"
    )
    with pytest.raises(InputError, match=rf"own_view.py:4: make\(\): {complaint}"):
        make_variant(str(path), dog_pairs[0], 0, tools)
