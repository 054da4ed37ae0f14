"""Rows find their items by id or by image and question, or say why not."""

from pathlib import Path

import pytest
from written_responses import row_of

from halbench.errors import InputError
from halbench.responses.matching import image_key, match_by_id_or_question, match_by_order
from halbench.suites.amber import read_items
from halbench.types import Item, ResponseRow

ITEMS = [
    Item("1", (Path("images/AMBER_1.jpg"),), "Describe this image.", {}, "generative"),
    Item("1005", (Path("images/AMBER_1.jpg"),), "Is the sky sunny in this image?", "no", "state"),
    Item("1006", (Path("images/AMBER_1.jpg"),), "Is the sky gloomy in this image?", "yes", "state"),
]


def test_rows_are_matched_by_id():
    rows = [row_of(id=1005), row_of(id=1)]
    assert match_by_id_or_question(ITEMS, rows, "") == ["1005", "1"]


def test_an_id_that_contradicts_the_question_is_not_used():
    # A harness that numbers from 0 gives known ids to other questions; image and question tell the right ones.
    rows = [row_of(id=1006, image="AMBER_1.jpg", question="Is the sky sunny in this image? Answer yes or no.\n")]
    assert match_by_id_or_question(ITEMS, rows, "") == ["1005"]
    rows = [row_of(id=1006, image="AMBER_1.jpg", question="Is there a dog?")]
    with pytest.raises(InputError, match="asks 'Is the sky gloomy"):
        match_by_id_or_question(ITEMS, rows, "")


def test_the_error_for_an_unknown_id_names_its_line_and_the_known_ids():
    with pytest.raises(InputError, match=r"line 1: unknown item '1033'; amber has ids 1..1004. Wrong --suite\?"):
        match_by_id_or_question(ITEMS, [row_of(id=1033)], "amber has ids 1..1004")


@pytest.mark.parametrize("name", ["COCO_val2014_000000339761.jpg", "339761.jpg", "339761", "data/000000339761.png"])
def test_one_image_has_one_key_however_it_is_spelt(name):
    assert image_key(name) == "339761"


def test_real_amber_answers_with_another_harness_s_ids_are_matched_by_image_and_question(data):
    items = read_items(data, "discriminative", None)
    rows = [
        row_for(index, item.images[0].name, f"{item.prompt} Please answer yes or no.")
        for index, item in enumerate(items[:3000])
    ]
    assert match_by_id_or_question(items, rows, "") == [item.id for item in items[:3000]]


def row_for(index, image, prompt):
    return ResponseRow(index + 1, "Yes", str(index + 1005 + 7), image, prompt)


def items_on(*images: str) -> list[Item]:
    return [Item(str(n), (Path(image),), "Which animal?", None, "all") for n, image in enumerate(images)]


@pytest.mark.parametrize(
    ("images", "named"),
    [
        (("dog_1.jpg", "cat_1.jpg"), ("cat_1.jpg", "dog_1.jpg")),
        (("dogs/1.jpg", "cats/1.jpg"), ("cats/1.jpg", "dogs/1.jpg")),
        (("/data/VD/ocr/4_1.png", "/data/VS/ocr/4_1.png"), ("VS/ocr/4_1.png", "VD/ocr/4_1.png")),
    ],
)
def test_images_with_the_same_number_or_name_are_not_confused(images, named):
    items = items_on(*images)
    rows = [row_of(image=name, question="Which animal?") for name in named]
    assert match_by_id_or_question(items, rows, "") == ["1", "0"]
    with_ids = [row_of(id=number, image=name) for number, name in zip("10", named, strict=True)]
    assert match_by_id_or_question(items, with_ids, "") == ["1", "0"]
    with pytest.raises(InputError, match="item '0' asks"):
        match_by_id_or_question(items, [row_of(id="0", image=named[0])], "")


def test_a_blank_cell_in_place_of_an_image_is_no_image():
    text_only = Item("t", (), "Capital of France?", None, "all")
    assert match_by_id_or_question([text_only], [row_of("Paris", id="t", image="")], "") == ["t"]


def log_row(doc_id: int, question: str) -> ResponseRow:
    return ResponseRow(1, "Yes", prompt=question, extra={"doc_id": doc_id})


def test_rows_of_a_log_are_matched_by_their_doc_id_only_where_number_and_questions_agree():
    rows = [
        log_row(2, "Is the sky gloomy in this image?\nAnswer"),
        log_row(0, "Describe this image"),
        log_row(1, "Is the sky sunny in this image?"),
    ]
    assert match_by_order(ITEMS, rows) == ["1006", "1", "1005"]
    assert match_by_order(ITEMS, rows[:2]) is None
    assert match_by_order(ITEMS, [rows[0], log_row(1, "Describe this image"), log_row(0, rows[2].prompt)]) is None
    assert match_by_order(ITEMS, rows, lambda item, row: item.id != "1") is None
