"""Scenes as PNG files: drawn once, named by number, in a folder of their world and seed."""

from dataclasses import replace

import pytest
from PIL import Image

from halbench.errors import InputError
from halbench.scenes.image_files import image_folder, image_name, world_hash, write_images
from halbench.scenes.world import WORLD, sample_scenes


@pytest.fixture(scope="module")
def scenes():
    return sample_scenes(WORLD, 0, "evaluation", [0, 12])


def test_missing_images_are_drawn_and_present_ones_kept(tmp_path, scenes):
    paths = write_images(tmp_path, scenes, WORLD)
    assert [path.name for path in paths] == ["scene_000000.png", "scene_000012.png"] == [image_name(s) for s in scenes]
    assert Image.open(paths[0]).size == (WORLD.pixels, WORLD.pixels)
    paths[0].write_bytes(b"kept")
    paths[1].unlink()
    write_images(tmp_path, scenes, WORLD)
    assert paths[0].read_bytes() == b"kept"
    assert paths[1].is_file()
    assert not list(tmp_path.glob("*.partial"))


def test_another_world_or_seed_has_another_folder(tmp_path):
    quiet = replace(WORLD, noise=0)
    assert world_hash(WORLD) != world_hash(quiet)
    assert len({image_folder(tmp_path, world, seed) for world in (WORLD, quiet) for seed in (0, 1)}) == 4


def test_the_identity_of_the_world_is_that_of_every_halbench_before():
    assert world_hash(WORLD) == "891220f2"


def test_a_folder_that_cannot_be_written_is_named_in_one_line(tmp_path, scenes):
    (tmp_path / "a").write_text("in the way")
    with pytest.raises(InputError, match=r"scenes cannot be written \("):
        write_images(tmp_path / "a", scenes, WORLD)
