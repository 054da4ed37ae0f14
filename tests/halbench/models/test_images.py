"""Opening images: as stored, once, and what is wrong with those that cannot be opened."""

import numpy as np
import pytest
from PIL import Image

from halbench.models.images import open_image, open_images
from halbench.types import Item


def test_an_image_is_rgb_exactly_as_it_is_stored_whatever_its_exif_rotation(tmp_path):
    stored = Image.new("RGB", (4, 2), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees to view"
    stored.save(tmp_path / "a.png", exif=exif)
    opened = open_image(tmp_path / "a.png")
    assert (opened.mode, opened.size, opened.tobytes()) == ("RGB", (4, 2), stored.tobytes())
    stored.convert("P").save(tmp_path / "b.png")
    assert open_image(tmp_path / "b.png").mode == "RGB"


@pytest.mark.parametrize("name", ["grey.png", "grey.tiff"])
def test_sixteen_bits_of_grey_are_scaled_to_eight_not_clipped_to_white(name, tmp_path):
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(ramp * 257).save(tmp_path / name)
    assert (np.array(open_image(tmp_path / name)) == ramp[:, :, None]).all()


def test_an_image_whose_values_have_no_known_range_is_a_problem_not_a_white_picture(tmp_path):
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(tmp_path / "float.tiff")
    item = Item("1", (tmp_path / "float.tiff",), "?", None, "all")
    problem = str(open_images([item]).problem(item))
    assert "expected 8 or 16 bits per channel, found 32" in problem


def test_an_item_s_problem_is_that_of_its_first_image_that_cannot_be_opened(tmp_path):
    Image.new("RGB", (4, 2)).save(tmp_path / "good.png")
    (tmp_path / "text.png").write_text("not an image")
    shown = [("good",), (), ("good", "text", "gone"), ("gone", "text")]
    items = [
        Item(str(n), tuple(tmp_path / f"{name}.png" for name in names), "?", None, "all")
        for n, names in enumerate(shown)
    ]
    opened = open_images(items)
    problems = [opened.problem(item) for item in items]
    assert problems[:2] == [None, None]
    assert str(problems[2]).startswith(f"image cannot be read: {tmp_path / 'text.png'} (")
    assert problems[3] == f"image not found: {tmp_path / 'gone.png'}"
