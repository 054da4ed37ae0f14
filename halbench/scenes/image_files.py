"""Scenes as PNG files, drawn once. Several processes may write to the same folder at the same time."""

from collections.abc import Sequence
from pathlib import Path

from halbench.errors import InputError, MissingExtra
from halbench.files.records import content_hash
from halbench.files.writing import replacing
from halbench.scenes.world import Scene, WorldParameters

DRAWING_VERSION = "1"
"""Raise it when pixels change, so that old files are not reused."""


def world_hash(parameters: WorldParameters) -> str:
    """Hash of everything that shapes a world's images: its parameters and the version of the drawing."""
    return content_hash([parameters, DRAWING_VERSION], 8)


def image_name(scene: Scene) -> str:
    """ "scene_000012.png"."""
    return f"scene_{scene.index:06d}.png"


def image_folder(root: Path, parameters: WorldParameters, seed: int) -> Path:
    """Folder of the evaluation images of a world and seed, below the folder of all scenes."""
    return root / f"{world_hash(parameters)}-{seed}"


def write_images(folder: Path, scenes: Sequence[Scene], parameters: WorldParameters) -> list[Path]:
    """The file of each scene; missing ones are drawn and written atomically."""
    paths = [folder / image_name(scene) for scene in scenes]
    missing = [(path, scene) for path, scene in zip(paths, scenes, strict=True) if not path.is_file()]
    if not missing:
        return paths
    try:
        from halbench.scenes.drawing import draw_scene
    except ModuleNotFoundError as error:
        raise MissingExtra(f"drawing scenes needs: pip install 'halbench[hf]' (no module '{error.name}')") from error
    try:
        for path, scene in missing:
            with replacing(path) as partial:
                draw_scene(scene, parameters).save(partial, format="png")
    except OSError as error:
        raise InputError(
            f"{folder}: scenes cannot be written ({error.strerror}); choose another with --data or --out"
        ) from error
    return paths
