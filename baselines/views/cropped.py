"""mDPO's altered image: a small random crop, resized to the size of the image.

Source: luka-group/mDPO bunny/modeling_bunny_phi.py, torchvision's RandomResizedCrop with 1 to 20 % of the area: the
fraction uniform, the aspect ratio log-uniform from 3/4 to 4/3, ten tries, then a centre crop; bilinear. Ours: one crop
per (pair, seed). The official code draws a new one in every forward, so that policy and reference see different images.
"""

from math import exp, log, sqrt

import numpy as np
from PIL import Image

from baselines.types import Pair, Variant
from baselines.view_tools.pair_images import altered_images
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import generator

VERSION = "1"
NEEDS = ()
AREA = (0.01, 0.2)
RATIO = (3 / 4, 4 / 3)
TRIES = 10

Box = tuple[int, int, int, int]


def make(pair: Pair, seed: int, tools: Tools) -> Variant:
    images, random = altered_images(pair, "cropped"), generator("cropped", pair.id, seed)
    boxes = [crop_box(image.size, random) for image in images]
    resized = (
        image.crop(box).resize(image.size, Image.Resampling.BILINEAR) for image, box in zip(images, boxes, strict=True)
    )
    return Variant(pair.prompt, pair.chosen, tuple(resized), notes={"boxes": [["crop", *box] for box in boxes]})


def crop_box(size: tuple[int, int], random: np.random.Generator) -> Box:
    """Left, top, right, bottom of a random crop of an image of this width and height."""
    width, height = size
    for _ in range(TRIES):
        area = width * height * random.uniform(*AREA)
        ratio = exp(random.uniform(log(RATIO[0]), log(RATIO[1])))
        wide, high = round(sqrt(area * ratio)), round(sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left, top = int(random.integers(width - wide + 1)), int(random.integers(height - high + 1))
            return left, top, left + wide, top + high
    return centre_box(size)


def centre_box(size: tuple[int, int]) -> Box:
    """The largest centred crop with an allowed aspect ratio: torchvision's fall-back."""
    width, height = size
    wide, high = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high
