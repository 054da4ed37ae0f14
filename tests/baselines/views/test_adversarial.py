"""The attacked image as a view."""

from dataclasses import replace

import numpy as np
from dog_pairs import image_of

from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant
from halbench.models.images import open_image


def test_the_image_changes_by_at_most_eight_levels_and_the_answer_becomes_less_likely(
    dog_pairs: list[Pair], tools: Tools, reference
):
    variant = make_variant("adversarial", dog_pairs[0], 0, replace(tools, reference=reference))
    own, altered = (np.asarray(image).astype(int) for image in (open_image(dog_pairs[0].images[0]), image_of(variant)))
    assert 0 < np.abs(own - altered).max() <= 8
    assert variant.notes["after"] < variant.notes["before"]
    assert (variant.prompt, variant.answer) == (dog_pairs[0].prompt, dog_pairs[0].chosen)
