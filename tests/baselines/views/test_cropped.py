"""A small random crop."""

import numpy as np
from dog_pairs import image_of

from baselines.types import Pair
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import generator, make_variant
from baselines.views import cropped
from halbench.models.images import open_image


def test_a_crop_keeps_1_to_20_percent_of_the_area_and_its_shape_within_3_to_4():
    random = generator("cropped", "1", 0)
    boxes = [cropped.crop_box((640, 480), random) for _ in range(400)]
    wide, high = (np.array([box[axis + 2] - box[axis] for box in boxes]) for axis in (0, 1))
    area = wide * high / (640 * 480)
    assert 0.0099 < area.min() < 0.02
    assert 0.18 < area.max() < 0.202
    assert 0.1 < area.mean() < 0.11  # uniform between 1 and 20 %
    assert (wide / high).min() > 0.74
    assert (wide / high).max() < 1.345
    assert all(0 <= left < right <= 640 and 0 <= top < bottom <= 480 for left, top, right, bottom in boxes)


def test_a_crop_that_never_fits_is_taken_from_the_centre():
    assert cropped.crop_box((1000, 1), generator("cropped", "1", 0)) == (499, 0, 500, 1)
    assert cropped.centre_box((400, 100)) == (133, 0, 266, 100)
    assert cropped.centre_box((90, 400)) == (0, 140, 90, 260)


def test_a_cropped_image_keeps_its_size_and_shows_the_crop(dog_pairs: list[Pair], tools: Tools):
    variant = make_variant("cropped", dog_pairs[0], 0, tools)
    ((_, *box),) = variant.notes["boxes"]
    assert image_of(variant).size == (140, 100)
    inside = np.asarray(open_image(dog_pairs[0].images[0]).crop(box)).reshape(-1, 3)
    shown = np.asarray(image_of(variant)).reshape(-1, 3)
    assert (shown.min(0) >= inside.min(0)).all()
    assert (shown.max(0) <= inside.max(0)).all()
