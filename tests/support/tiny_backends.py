"""Tiny checkpoints, pictures and questions for tests of backends, as fixtures, and ways to ask them.

from tiny_backends import checkpoints, images, items  # noqa: F401   in a conftest.py
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from halbench.types import Backend, BackendOptions, Decoding, Item, Response

SIZES = [(60, 40), (40, 60), (50, 50), (90, 30)]
QUESTIONS = ["Describe this image.", "Is there a dog in the image? Please answer yes or no.", "How many?"]
DECODING = Decoding(max_new_tokens=10)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny checkpoint of each kind."""
    pytest.importorskip("torch")
    import tiny_checkpoints

    root = tmp_path_factory.mktemp("checkpoints")
    for name in ("llava", "llava_next", "idefics3", "smolvlm", "llama"):
        getattr(tiny_checkpoints, name)(root / name)
    tiny_checkpoints.lora_adapter(root / "lora", root / "llava")
    return root


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of blocks of colour in four shapes."""
    root, generator = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number, size in enumerate(SIZES):
        blocks = generator.integers(0, 256, (3, 3, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(root / f"{number}.png")
    return sorted(root.iterdir())


@pytest.fixture(scope="session")
def items(images: list[Path]) -> list[Item]:
    """Three questions on each of four images."""
    return [
        Item(f"{image.stem}-{number}", (image,), question, None, "all")
        for image in images
        for number, question in enumerate(QUESTIONS)
    ]


def mixed_items(images: Sequence[Path]) -> list[Item]:
    """Questions with no image, one image and two images, mixed; some show the same images, one of them in two orders."""
    first, second, third, fourth = images
    shown: list[tuple[Path, ...]] = [(first,), (), (first, second), (second, first), (), (third, fourth), (fourth,)]
    return [
        Item(f"{number}-{kind}", paths, question, None, "all")
        for kind, question in enumerate(QUESTIONS)
        for number, paths in enumerate(shown)
    ]


def opened(checkpoints: Path, name: str, batch_size: Any = 4, **options: Any) -> Any:
    """The transformers backend with a tiny checkpoint."""
    from tiny_checkpoints import qwen2_vl

    from halbench.backends import hf
    from halbench.models.checkpoints import Checkpoint, token_ids_only

    chosen = BackendOptions(batch_size=batch_size, **options)
    if name == "qwen2_vl":
        model, processor = qwen2_vl()
        processor.tokenizer.padding_side = "left"
        model.generation_config = token_ids_only(model.generation_config, processor.tokenizer)
        return hf.HfBackend(Checkpoint(model, processor, processor.chat_template, {}), chosen)
    return hf.open_backend(str(checkpoints / name), chosen)


def answers(backend: Backend, items: Sequence[Item], decoding: Decoding = DECODING) -> dict[str, Response]:
    """Item id -> response; every item has exactly one."""
    rows = list(backend.generate(items, decoding))
    assert sorted(row.item for row in rows) == sorted(item.id for item in items)
    return {row.item: row for row in rows}


def texts(backend: Backend, items: Sequence[Item], decoding: Decoding = DECODING) -> dict[str, str]:
    """Item id -> text."""
    return {id: row.text for id, row in answers(backend, items, decoding).items()}
