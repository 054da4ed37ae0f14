"""The transformers backend where something goes wrong: broken images, full memory, odd prompts, a model that always fails."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_backends import DECODING, answers, opened, texts

from halbench.errors import InputError
from halbench.types import Item


def test_images_that_are_missing_or_broken_or_too_large_become_error_rows(checkpoints, items, tmp_path, monkeypatch):
    (tmp_path / "cut.png").write_bytes(items[0].images[0].read_bytes()[:60])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "folder.jpg").mkdir()
    Image.new("RGB", (200, 200)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15_000)
    names = ["absent.jpg", "cut.png", "text.jpg", "folder.jpg", "huge.png"]
    broken = [Item(name, (tmp_path / name,), "Describe this image.", None, "all") for name in names]
    backend = opened(checkpoints, "llava", 4)
    rows = answers(backend, [*items[:2], *broken, *items[2:]])
    assert {id: row.text for id, row in rows.items() if row.state == "ok"} == texts(backend, items)
    assert rows["absent.jpg"].error == f"image not found: {tmp_path / 'absent.jpg'}"
    for name in names[1:]:
        assert rows[name].state == "error"
        assert str(rows[name].error).startswith(f"image cannot be read: {tmp_path / name} (")


def failing(model: Any, too_much: Callable[[Mapping[str, torch.Tensor]], bool], error: Exception) -> None:
    """From now on the model's generate() raises on inputs for which `too_much` is true."""
    generate = model.generate

    def limited(**arguments: torch.Tensor) -> torch.Tensor:
        if too_much(arguments):
            raise error
        return generate(**arguments)

    model.generate = limited


def failing_above(limit: int, model: Any, error: Exception) -> None:
    failing(model, lambda inputs: len(inputs["input_ids"]) > limit, error)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried ..."),
        RuntimeError("[...] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["GPU", "CPU"],
)
def test_a_batch_that_does_not_fit_is_halved_for_good_and_no_item_is_lost(checkpoints, items, error):
    expected = texts(opened(checkpoints, "llava", 1), items)
    backend = opened(checkpoints, "llava", "auto")
    assert backend.batch_size == 8
    failing_above(3, backend.model, error)
    assert texts(backend, items) == expected
    assert backend.batch_size == 2


def test_one_item_that_never_fits_does_not_leave_the_others_to_small_batches(checkpoints, items):
    backend = opened(checkpoints, "llava", 8)
    huge = Item("huge", items[0].images, "word " * 100, None, "all")
    failing(backend.model, lambda inputs: inputs["input_ids"].shape[1] > 150, torch.OutOfMemoryError("out of memory"))
    rows = answers(backend, [*items[:3], huge, *items[3:]])
    assert [id for id, row in rows.items() if row.state == "error"] == ["huge"]
    assert backend.batch_size == 8


def test_an_item_that_does_not_fit_alone_becomes_an_error_row(checkpoints, items):
    backend = opened(checkpoints, "llava", 4)
    failing_above(0, backend.model, torch.OutOfMemoryError("CUDA out of memory. Tried ..."))
    rows = answers(backend, items[:5])
    assert {row.error for row in rows.values()} == {"generation failed: does not fit in memory even alone"}


@pytest.mark.parametrize("position", [0, 1], ids=["first of its image", "later of its image"])
def test_a_prompt_with_the_models_own_image_token_becomes_an_error_row(checkpoints, items, position):
    backend = opened(checkpoints, "llava", 6)
    odd = Item("odd", items[0].images, "What does <image> mean?", None, "all")
    rows = answers(backend, [*items[:position], odd, *items[position:]])
    assert rows.pop("odd").error == "the prompt contains the model's image token '<image>'"
    assert {id: row.text for id, row in rows.items()} == texts(backend, items)


def test_an_item_that_the_processor_rejects_fails_alone(checkpoints, items, tmp_path):
    Image.new("RGB", (1, 900)).save(tmp_path / "thread.png")  # Qwen2-VL takes sides of up to 200 to 1
    thread = Item("thread", (tmp_path / "thread.png",), "Describe this image.", None, "all")
    backend = opened(checkpoints, "qwen2_vl", 6)
    rows = answers(backend, [*items[:2], thread, *items[2:]])
    assert "ValueError: absolute aspect ratio must be smaller than 200" in str(rows.pop("thread").error)
    assert {id: row.text for id, row in rows.items()} == texts(backend, items)


def test_a_model_that_fails_on_everything_stops_the_run_instead_of_filling_it_with_errors(checkpoints, items, tmp_path):
    backend = opened(checkpoints, "llava", 4)
    failing_above(0, backend.model, RuntimeError("CUDA error: device-side assert triggered"))
    copies = [Path(shutil.copy(items[0].images[0], tmp_path / f"{n}.png")) for n in range(12)]
    apart = [Item(copy.stem, (copy,), items[0].prompt, None, "all") for copy in copies]
    rows = backend.generate(apart, DECODING)
    assert {next(rows).state for _ in range(7)} == {"error"}, "rows that are known come before the run stops"
    with pytest.raises(InputError, match=r"failed for 8 images in a row with the same error.*device-side assert"):
        next(rows)


def test_an_image_that_always_fails_does_not_affect_the_others_however_many_questions_it_has(
    checkpoints, items, tmp_path
):
    Image.new("RGB", (1, 900)).save(tmp_path / "thread.png")
    thread = [Item(f"t{n}", (tmp_path / "thread.png",), "Describe this image.", None, "all") for n in range(15)]
    rows = answers(opened(checkpoints, "qwen2_vl", 6), [*thread, *items])
    assert {row.state for id, row in rows.items() if id.startswith("t")} == {"error"}
    assert {rows[item.id].state for item in items} == {"ok"}
