"""The picture of a view: the original, the variant, and the words that go with them."""

from dataclasses import replace

import numpy as np
from PIL import Image

from baselines.types import Pair, Variant
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant
from baselines.view_tools.view_sheet import SIDE, caption, panel, sheet


def texts(pair: Pair, variant: Variant) -> list[str]:
    return [line for line, _ in caption(pair, variant)]


def test_a_sheet_has_a_panel_for_each_pair(dog_pairs: list[Pair], tools: Tools):
    variants = [(pair, make_variant("cropped", pair, 0, tools)) for pair in dog_pairs]
    one, three = (sheet(variants[:count], "cropped", columns=2).size for count in (1, 3))
    assert three[0] == 2 * one[0]
    assert three[1] > one[1]


def test_the_caption_names_pair_question_answer_and_notes(dog_pairs: list[Pair]):
    variant = Variant("What?", dog_pairs[0].chosen, notes={"keywords": ["dog", "sky"], "hit": ["dog"], "gain": 0.12345})
    lines = texts(dog_pairs[0], variant)
    assert lines[:2] == ["Pair 0", "Q: What?"]
    assert any(line.startswith("A (chosen): A brown dog") for line in lines)
    assert lines[-3:] == ["key object: dog", "key object: sky - not found", "gain: 0.1235"]
    assert "A (generated): Mined." in texts(dog_pairs[0], replace(variant, answer="Mined."))


def test_pairs_of_text_alone_and_of_several_images_are_drawn(dog_pairs: list[Pair]):
    chosen = Variant("What?", "A dog.")
    text, one, two = (replace(dog_pairs[0], images=dog_pairs[0].images * count) for count in (0, 1, 2))
    drawn = [np.asarray(panel(pair, chosen))[:, : SIDE + 16] for pair in (text, one)]
    assert drawn[0].mean() > 240 > drawn[1].mean(), "no image on the left, and one"
    assert texts(two, chosen)[0] == "Pair 0, the first of 2 images"
    flipped = replace(
        chosen, images=(Image.new("RGB", (10, 10), "red"),) * 2, notes={"boxes": [["crop", 0, 0, 5, 5]] * 2}
    )
    assert panel(two, flipped).size == panel(one, chosen).size
