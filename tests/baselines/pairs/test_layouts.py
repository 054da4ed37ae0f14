"""Every layout gives the same pair."""

from pathlib import Path

import pytest
from preference_rows import ANSWERS, CHOSEN, LAYOUTS, QUESTION, REJECTED, row, write

from baselines.pairs.preferences import read_pairs
from halbench.errors import InputError


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_every_layout_gives_the_same_pair(folder: Path, layout: str, suffix: str):
    (pair,) = read_pairs(write(folder / f"rows.{suffix}", [LAYOUTS[layout]])).pairs
    assert (pair.prompt, pair.chosen, pair.rejected, pair.images) == (QUESTION, CHOSEN, REJECTED, (folder / "cup.png",))
    assert pair.rejected_images == ()


@pytest.mark.parametrize(
    ("layout", "change"),
    [
        ("TRL, prompt within the answers", {"rejected": None}),
        ("TRL, messages", {"chosen": [{"role": "assistant", "content": ["plain"]}]}),
        ("LLaVA turns, two conversations", {"rejected_conversations": None}),
        ("LLaVA turns, answers apart", {"conversations": [None]}),
        ("RLAIF-V", {"image": {"path": "cup\0.png"}}),
        ("ms-swift, rejected conversation", {"rejected_messages": []}),
    ],
)
def test_a_row_of_another_shape_is_left_out_and_named(folder: Path, layout: str, change: dict):
    changed = {name: value for name, value in (LAYOUTS[layout] | change).items() if value is not None}
    preferences = read_pairs(write(folder / "rows.jsonl", [LAYOUTS[layout]] * 150 + [changed]))
    assert (len(preferences.pairs), [row.where for row in preferences.dropped]) == (
        150,
        [f"{folder / 'rows.jsonl'}:151"],
    )


def test_an_unknown_layout_lists_the_known_ones(folder: Path):
    path = write(folder / "rows.json", [{"picture": "cup.png", "better": "a", "worse": "b"}])
    with pytest.raises(
        InputError, match=r"rows.json:1: no known layout has the fields picture, better, worse. Known: LLaVA"
    ):
        read_pairs(path)


REJECTED_IMAGES = {
    "ours": row(rejected_images=["sky.png"]),
    "plain": {"image": "cup.png", "prompt": QUESTION, **ANSWERS, "rejected_images": ["sky.png"]},
    "plain, one path": {"image": "cup.png", "prompt": QUESTION, **ANSWERS, "rejected_images": "sky.png"},
    "TRL, messages": {**LAYOUTS["TRL, messages"], "rejected_images": ["sky.png"]},
    "LLaVA turns, answers apart": {**LAYOUTS["LLaVA turns, answers apart"], "rejected_images": ["sky.png"]},
    "ms-swift": {**LAYOUTS["ms-swift, rejected answer"], "rejected_images": ["sky.png"]},
    "ms-swift, rejected conversation": {**LAYOUTS["ms-swift, rejected conversation"], "rejected_images": ["sky.png"]},
}


@pytest.mark.parametrize("layout", REJECTED_IMAGES)
def test_rejected_images_are_read_from_layouts_that_have_them(folder: Path, layout: str):
    name = "pairs.jsonl" if layout == "ours" else "rows.jsonl"
    (pair,) = read_pairs(write(folder / name, [REJECTED_IMAGES[layout]])).pairs
    assert (pair.images, pair.rejected_images) == ((folder / "cup.png",), (folder / "sky.png",))
    assert (pair.prompt, pair.chosen, pair.rejected) == (QUESTION, CHOSEN, REJECTED)
    assert "rejected_images" not in pair.meta


@pytest.mark.parametrize("images", [[], ["cup.png"], ["cup.png", "sky.png"]])
@pytest.mark.parametrize("layout", ["ours", "TRL, text", "TRL, messages", "ms-swift, rejected answer"])
def test_a_pair_has_no_image_one_or_several(folder: Path, layout: str, images: list[str]):
    values = {
        name: value for name, value in (row() if layout == "ours" else LAYOUTS[layout]).items() if name != "image"
    }
    values["images"] = images
    if layout == "TRL, messages":
        values["prompt"] = [
            {"role": "user", "content": [*[{"type": "image"}] * len(images), {"type": "text", "text": QUESTION}]}
        ]
    elif layout.startswith("ms-swift"):
        values["messages"] = [
            {"role": "user", "content": "<image>" * len(images) + QUESTION},
            {"role": "assistant", "content": CHOSEN},
        ]
    (pair,) = read_pairs(write(folder / ("pairs.jsonl" if layout == "ours" else "rows.jsonl"), [values])).pairs
    assert pair.images == tuple(folder / image for image in images)
    assert pair.prompt == QUESTION
