"""Scenes as PNG files, drawn once. Several processes may write the same folder at the same time."""

import os
from collections.abc import Sequence
from pathlib import Path

from halbench.errors import InputError, MissingExtra
from halbench.records import content_hash
from halbench.scenes.world import Scene, WorldParameters

DRAWING_VERSION = "1"
"""Raise it when pixels change, so that old files are not taken for new ones."""


def world_hash(parameters: WorldParameters) -> str:
    """What a world's images are: its parameters and how it is drawn."""
    return content_hash([parameters, DRAWING_VERSION], 8)


def image_name(scene: Scene) -> str:
    """ "scene_000012.png"."""
    return f"scene_{scene.index:06d}.png"


def image_folder(root: Path, parameters: WorldParameters, seed: int) -> Path:
    """Where the evaluation images of a world and seed lie below the folder of all scenes."""
    return root / f"{world_hash(parameters)}-{seed}"


def write_images(folder: Path, scenes: Sequence[Scene], parameters: WorldParameters) -> list[Path]:
    """The file of each scene; those that are not there yet are drawn, each whole or not at all."""
    paths = [folder / image_name(scene) for scene in scenes]
    missing = [(path, scene) for path, scene in zip(paths, scenes, strict=True) if not path.is_file()]
    if not missing:
        return paths
    try:
        from halbench.scenes.drawing import draw_scene
    except ModuleNotFoundError as error:
        raise MissingExtra(f"drawing scenes needs: pip install 'halbench[hf]' (no module '{error.name}')") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, scene in missing:
            partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
            draw_scene(scene, parameters).save(partial, format="png")
            os.replace(partial, path)
    except OSError as error:
        raise InputError(
            f"{folder}: scenes cannot be written there ({error.strerror}); choose another with --data or --out"
        ) from error
    return paths
