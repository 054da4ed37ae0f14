"""The chosen answer to the images that it does not fit."""

from dataclasses import replace

import pytest

from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant
from halbench.errors import InputError
from halbench.models.images import open_image


def test_the_data_s_own_images_are_shown_with_the_chosen_answer(dog_pairs: list[Pair], tools: Tools):
    others = (dog_pairs[1].images[0], dog_pairs[2].images[0])
    variant = make_variant("rejected_images", replace(dog_pairs[0], rejected_images=others), 0, tools)
    assert (variant.prompt, variant.answer) == (dog_pairs[0].prompt, dog_pairs[0].chosen)
    assert [image.tobytes() for image in variant.images] == [open_image(path).tobytes() for path in others]


def test_a_pair_without_them_is_refused(dog_pairs: list[Pair], tools: Tools):
    with pytest.raises(InputError, match="pair 0 has no rejected_images, which view 'rejected_images' shows"):
        make_variant("rejected_images", dog_pairs[0], 0, tools)
