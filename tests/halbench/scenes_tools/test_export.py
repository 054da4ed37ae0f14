"""Scenes as a dataset folder for other tools."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from halbench.data.datasets import Data
from halbench.scenes.mentions import mentions
from halbench.scenes.world import WORLD, sample_scenes
from halbench.scenes_tools.export import export
from halbench.suites.scenes import Options, load


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_an_export_reads_back(tmp_path: Path):
    scenes = sample_scenes(WORLD, 0, "evaluation", range(5))
    export(tmp_path, scenes, WORLD)
    coco = json.loads((tmp_path / "annotations.json").read_text("utf-8"))
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert len(names) == len(WORLD.classes)
    for scene, image in zip(scenes, coco["images"], strict=True):
        with Image.open(tmp_path / "images" / image["file_name"]) as drawn:
            assert drawn.size == (image["width"], image["height"]) == (80, 80)
        own = [row for row in coco["annotations"] if row["image_id"] == image["id"]]
        assert [(names[row["category_id"]], row["colour"]) for row in own] == [
            (t.name, t.colour) for t in scene.objects
        ]
        for row, thing in zip(own, scene.objects, strict=True):
            left, top, width, height = row["bbox"]
            assert thing.left <= left
            assert left + width <= thing.left + thing.size
            assert thing.top <= top
            assert top + height <= thing.top + thing.size
    for row, scene in zip(rows(tmp_path / "captions.jsonl"), scenes, strict=True):
        assert {mention.name for mention in mentions(row["caption"])} == set(scene.counts())
        assert {mention.name for mention in mentions(row["annotated"])} == set(scene.counts()) | set(
            row["hallucinated"]
        )
    items = load(Data(tmp_path / "data"), Options(scenes=5, part="questions"), None).items
    assert [(row["id"], row["question"], row["answer"]) for row in rows(tmp_path / "questions.jsonl")] == [
        (item.id, item.prompt, item.truth["answer"]) for item in items
    ]
