"""A data folder with three of MMHal-Bench's questions, and entries of the catalogue."""

import hashlib
import json
from pathlib import Path

from halbench.data.datasets import Data, Source


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def source(file: str, **fields: object) -> Source:
    return Source(**{"file": file, "suites": ["mmhal"], "licence": "-", "sha256": {}, **fields})  # type: ignore[arg-type]


def mmhal_folder(root: Path, images: int) -> Data:
    """A data folder with three of MMHal-Bench's questions and some of their images."""
    folder = root / "mmhal"
    (folder / "images").mkdir(parents=True)
    rows = [
        {
            "image_id": f"{n}",
            "image_src": f"https://example.org/{n}_o.jpg",
            "image_content": [],
            "question": "What?",
            "gt_answer": "",
            "question_type": "attribute",
            "model_answer": "",
        }
        for n in range(3)
    ]
    (folder / "mmhal-bench_answer_template.json").write_text(json.dumps(rows))
    for n in range(images):
        (folder / "images" / f"{n}_o.jpg").write_bytes(b"\xff\xd8")
    (folder / "images" / "unrelated.jpg").write_bytes(b"\xff\xd8")
    return Data(root)
