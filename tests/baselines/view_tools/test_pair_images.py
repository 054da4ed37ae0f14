"""Views of pairs with no image or several: every image is altered, or the pair is refused in one line."""

from dataclasses import replace

import numpy as np
import pytest
from noise_images import noise_image

from baselines.pairs.content_hashes import image_hash
from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant
from halbench.errors import InputError
from halbench.models.images import open_image

EACH_IMAGE = ("blank", "cropped", "globally_noised")
ONE_IMAGE = ("random_region_noised", "region_noised", "adversarial", "mined_rejected")


@pytest.fixture
def two(dog_pairs: list[Pair]) -> Pair:
    """A pair with two images of different sizes."""
    wide = dog_pairs[1].images[0].with_name("wide.png")
    noise_image((200, 60), 80).save(wide)
    return replace(dog_pairs[0], images=(dog_pairs[0].images[0], wide), regions=())


@pytest.mark.parametrize("view", EACH_IMAGE)
def test_every_image_is_altered_by_itself(view: str, two: Pair, tools: Tools):
    own = [open_image(path) for path in two.images]
    variant = make_variant(view, two, 0, tools)
    assert [image.size for image in variant.images] == [image.size for image in own]
    assert all((np.asarray(new) != np.asarray(old)).any() for new, old in zip(variant.images, own, strict=True))
    assert variant.answer == two.chosen


def test_the_first_of_two_images_is_altered_like_an_only_one(two: Pair, tools: Tools):
    """So that the image of a pair with one image does not depend on how many others are possible."""
    one = replace(two, images=two.images[:1])
    for view in ("blank", "globally_noised"):
        alone, first = (make_variant(view, pair, 0, tools).images[0] for pair in (one, two))
        assert image_hash(alone) == image_hash(first)


def test_each_image_has_a_crop_of_its_own(two: Pair, tools: Tools):
    first, second = make_variant("cropped", two, 0, tools).notes["boxes"]
    assert first[0] == second[0] == "crop"
    assert first != second


def test_other_images_are_as_many(two: Pair, dog_pairs: list[Pair], tools: Tools):
    other = replace(two, id="other", images=two.images[::-1])
    variant = make_variant("other_image", two, 0, replace(tools, pairs=[*dog_pairs, other]))
    assert variant.notes["pair"] == "other"
    with pytest.raises(InputError, match="view 'other_image' needs pairs with other images"):
        make_variant("other_image", two, 0, replace(tools, pairs=dog_pairs))


@pytest.mark.parametrize("view", ONE_IMAGE)
@pytest.mark.parametrize("count", [0, 2])
def test_a_view_that_needs_one_image_refuses_others_in_one_line(view, count, two, tools, reference):
    pair = replace(two, images=two.images[:count])
    tools = replace(tools, pairs=[pair], reference=reference, language=object())
    with pytest.raises(InputError, match=rf"pair 0 has {count} images, but view '{view}' needs pairs with one$"):
        make_variant(view, pair, 0, tools)


@pytest.mark.parametrize("view", [*EACH_IMAGE, "other_image"])
def test_a_view_that_alters_images_refuses_a_pair_of_text_alone(view: str, two: Pair, tools: Tools):
    with pytest.raises(InputError, match=f"pair 0 has no image, but view '{view}' alters images"):
        make_variant(view, replace(two, images=()), 0, tools)
