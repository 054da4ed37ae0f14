"""All that can change a number is in the signature, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
from toy_suite import ITEMS, SUITE, TASK

from halbench.evaluation.signature import describe_decoding, items_identity, signature, signature_fields
from halbench.suites import amber
from halbench.types import Decoding, Item


def test_the_signature_holds_all_that_can_change_a_number_and_nothing_of_the_model():
    fields = signature_fields(SUITE, TASK, Decoding(8, num_beams=3, extra={"top_k": 5}), {"judge": "gpt"})
    assert signature(fields).startswith("suite:toy|version:1|items:200-")
    assert fields["decoding"] == "greedy,num_beams=3,max_new_tokens=8,top_k=5"
    fewer = signature_fields(SUITE, replace(TASK, items=ITEMS[:-1]), None, {})
    other_prompt = signature_fields(SUITE, replace(TASK, items=[replace(ITEMS[0], prompt="?"), *ITEMS[1:]]), None, {})
    assert len({fields["items"], fewer["items"], other_prompt["items"]}) == 3
    moved = [replace(item, images=(Path("/elsewhere") / item.images[0],)) for item in ITEMS]
    assert signature_fields(SUITE, replace(TASK, items=moved), None, {})["items"] == fields["items"]


def test_sampling_is_named_with_its_temperature():
    assert describe_decoding(Decoding(8, temperature=0.7)) == "sampled,temperature=0.7,top_p=1.0,max_new_tokens=8"


def test_the_identity_of_amber_s_descriptions_is_that_of_every_halbench_before(data):
    assert items_identity(amber.read_items(data, "generative", None)) == "1004-ea27dd33"


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster": "set 1"},
        {"images": (Path("1.jpg"), Path("2.jpg"))},
        {"images": (Path("2.jpg"),)},
        {"images": ()},
        {"prompt": "Is it?"},
        {"truth": "no"},
        {"group": "hard"},
    ],
    ids=[
        "another cluster",
        "two images",
        "another image",
        "no image",
        "another prompt",
        "another truth",
        "another group",
    ],
)
def test_items_that_differ_in_anything_have_another_identity(changes):
    item = Item("1", (Path("1.jpg"),), "What is it?", "yes", "all")
    changed = {"images": item.images, "prompt": item.prompt, "truth": item.truth, "group": item.group, **changes}
    assert items_identity([Item("1", **changed)]) != items_identity([item])


def test_the_order_of_several_images_is_part_of_the_identity():
    first, second = Path("1.jpg"), Path("2.jpg")
    items = [Item("1", images, "Same?", "yes", "all", "set") for images in ((first, second), (second, first))]
    assert items_identity(items[:1]) != items_identity(items[1:])


def test_the_identity_does_not_depend_on_where_images_are_or_how_their_names_are_padded():
    spellings = ("a/COCO_val2014_000000339761.jpg", "b/339761.png")
    assert len({items_identity([Item("1", (Path(name),), "?", "x", "all")]) for name in spellings}) == 1
