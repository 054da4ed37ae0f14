"""Images of scenes: boxes are tight, and every class has its own drawing."""

import numpy as np

from halbench.scenes.drawing import SHAPES, draw_scene, object_box
from halbench.scenes.world import WORLD, Scene, WorldParameters, sample_scene

QUIET = WorldParameters(noise=0)


def test_a_box_holds_every_pixel_of_its_object_and_is_tight():
    for index in range(20):
        scene = sample_scene(QUIET, 0, "evaluation", index)
        for thing in scene.objects:
            with_it = np.asarray(draw_scene(scene, QUIET)).astype(int)
            rest = tuple(other for other in scene.objects if other != thing)
            without = np.asarray(draw_scene(Scene(0, "evaluation", index, scene.context, rest), QUIET)).astype(int)
            left, top, right, bottom = object_box(thing)
            # Pixels of the anti-aliased rim, of which less than a sixth is drawn, may lie outside.
            rows, columns = np.nonzero(np.abs(with_it - without).max(-1) > 45)
            assert left <= columns.min() <= left + 2
            assert right - 3 <= columns.max() < right
            assert top <= rows.min() <= top + 2
            assert bottom - 3 <= rows.max() < bottom


def test_every_class_has_a_drawing_that_no_other_has():
    assert set(SHAPES) == set(WORLD.classes)
    assert len(set(SHAPES.values())) == len(SHAPES)
