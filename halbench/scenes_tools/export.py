"""Scenes as a dataset folder for other tools.

images/scene_000000.png
annotations.json    COCO's layout: images, categories, annotations with boxes [left, top, width, height]
captions.jsonl      {"image", "caption": a true one, "annotated": a biased annotator's, "hallucinated": [classes]}
questions.jsonl     {"id", "image", "kind", "question", "answer"}, the questions of the suite
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from halbench.files.records import write_json, write_jsonl
from halbench.scenes.captions import annotated, describe, questions, truth
from halbench.scenes.drawing import object_box
from halbench.scenes.image_files import image_name, write_images
from halbench.scenes.world import Scene, WorldParameters


def export(folder: Path, scenes: Sequence[Scene], parameters: WorldParameters) -> None:
    """Write the dataset folder."""
    write_images(folder / "images", scenes, parameters)
    write_jsonl(folder / "captions.jsonl", (captions(scene, parameters) for scene in scenes))
    write_jsonl(folder / "questions.jsonl", (row for scene in scenes for row in question_rows(scene, parameters)))
    write_json(folder / "annotations.json", coco(scenes, parameters))


def coco(scenes: Sequence[Scene], parameters: WorldParameters) -> dict[str, Any]:
    """All objects of the scenes as COCO's instance annotations."""
    side = parameters.pixels
    numbers = {name: number for number, name in enumerate(parameters.classes, 1)}
    annotations: list[dict[str, Any]] = []
    for scene in scenes:
        for thing in scene.objects:
            left, top, right, bottom = object_box(thing)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": scene.index,
                    "category_id": numbers[thing.name],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                    "colour": thing.colour,
                }
            )
    return {
        "images": [
            {"id": scene.index, "file_name": image_name(scene), "width": side, "height": side, "context": scene.context}
            for scene in scenes
        ],
        "categories": [
            {"id": numbers[name], "name": name, "supercategory": context}
            for context, pairs in parameters.contexts.items()
            for pair in pairs
            for name in (pair.trigger, pair.partner)
        ],
        "annotations": annotations,
    }


def captions(scene: Scene, parameters: WorldParameters) -> dict[str, Any]:
    """A true description, and a biased annotator's with the classes that are made up in it."""
    described = annotated(scene, parameters, scene.random("annotator"))
    words = scene.random("caption")
    return {
        "image": image_name(scene),
        "caption": describe(scene.context, truth(scene, parameters), parameters, words),
        "annotated": describe(scene.context, described, parameters, words),
        "hallucinated": [thing.name for pair in described for thing in pair if not thing.real],
    }


def question_rows(scene: Scene, parameters: WorldParameters) -> Iterator[dict[str, Any]]:
    """The suite's questions about a scene, with their answers."""
    for question in questions(scene, parameters):
        yield {
            "id": f"{scene.index}/{question.kind}",
            "image": image_name(scene),
            "kind": question.kind,
            "question": question.text,
            "answer": question.answer,
        }
