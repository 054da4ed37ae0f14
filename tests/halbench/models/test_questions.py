"""A batch before a model sees it: images opened, unanswerable items set aside, the next batch prepared ahead."""

import threading

import pytest

from halbench.models.questions import open_questions, prepared_ahead
from halbench.types import Item


def item(id: str, *images, prompt: str = "What?") -> Item:
    return Item(id, images, prompt, None, "all")


def test_unusable_items_become_error_rows_and_the_others_keep_their_images(images, tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    broken = [
        item("gone", images[0], tmp_path / "gone.png"),
        item("text", tmp_path / "text.png"),
        item("token", images[0], prompt="What is <img>?"),
    ]
    valid = [item("one", images[0]), item("none"), item("two", images[1], images[0])]
    questions = open_questions([*broken, *valid], ["<image>", "<img>"])
    assert questions.items == valid
    assert [[image.size for image in shown] for shown in questions.images] == [[(60, 40)], [], [(40, 60), (60, 40)]]
    assert [row.item for row in questions.errors] == ["gone", "text", "token"]
    assert [row.error.partition(" (")[0] for row in questions.errors] == [
        f"image not found: {tmp_path / 'gone.png'}",
        f"image cannot be read: {tmp_path / 'text.png'}",
        "the prompt contains the model's image token '<img>'",
    ]


def test_an_image_of_several_items_is_opened_once(images):
    questions = open_questions([item("a", images[0]), item("b", images[0])], [])
    assert questions.images[0][0] is questions.images[1][0]


def test_the_next_batch_is_prepared_while_one_is_worked_on():
    started = [threading.Event() for _ in range(3)]

    def prepare(number: int) -> int:
        started[number].set()
        return 10 * number

    batches = prepared_ahead(iter(range(3)), prepare)
    for number in range(3):
        batch, prepared = next(batches)
        assert (batch, prepared()) == (number, 10 * number)
        if number < 2:
            assert started[number + 1].wait(10), "the following batch waits for the caller"
    assert next(batches, None) is None


def test_a_batch_that_cannot_be_prepared_raises_when_it_is_requested():
    def prepare(number: int) -> int:
        if number == 1:
            raise ValueError("odd")
        return number

    results = []
    for number, prepared in prepared_ahead(iter(range(3)), prepare):
        if number == 1:
            with pytest.raises(ValueError, match="odd"):
                prepared()
        else:
            results.append(prepared())
    assert results == [0, 2]


def test_no_batches_are_no_batches():
    assert list(prepared_ahead(iter(()), lambda batch: batch)) == []
