"""Scenes that are sampled once a session, and scenes made by hand."""

from functools import cache

from halbench.scenes.world import WORLD, Scene, SceneObject, Split, sample_scenes

N_SAMPLED = {"training": 1500, "evaluation": 600}


@cache
def sampled(split: Split) -> tuple[Scene, ...]:
    """Scenes 0, 1, 2, ... of a split, of seed 0."""
    return tuple(sample_scenes(WORLD, 0, split, range(N_SAMPLED[split])))


def scene_of(*names: str, colour: str = "red", cells: tuple[int, ...] | None = None) -> Scene:
    """A scene made by hand, objects in the cells given or in the first ones."""
    objects = [
        SceneObject(name, colour, cell, cell % 4 * 20, cell // 4 * 20, 18)
        for name, cell in zip(names, cells or range(len(names)), strict=True)
    ]
    return Scene(0, "evaluation", 0, "kitchen", tuple(objects))
