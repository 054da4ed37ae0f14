"""Which rows are not valid pairs, and why."""

import io
from pathlib import Path

import pytest
from noise_images import noise_image
from preference_rows import CHOSEN, own_folder, row, turns

from baselines.pairs.preferences import read_pairs


def bad(folder: Path, *rows: dict) -> list[tuple[str, str]]:
    """Reason and detail of each bad row among good ones."""
    good = [row(id=f"good {number}") for number in range(2)]
    preferences = read_pairs(own_folder(folder, [*good, *rows]), tolerate=1.0)
    assert [pair.id for pair in preferences.pairs[:2]] == ["good 0", "good 1"]
    return [(dropped.reason, dropped.detail) for dropped in preferences.dropped]


REGION = {"name": "cup", "box": [0, 0, 9, 9]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chosen": "  "}, "empty text"),
        ({"prompt": "<image>\n"}, "empty text"),
        ({"rejected": CHOSEN + " "}, "equal answers"),
        ({"image": "nowhere.png"}, "image missing"),
        ({"image": None}, "no image"),
        ({"image": None, "images": None}, "no image"),
        ({"image": None, "images": [None]}, "no image"),
        ({"image": None, "images": ["cup.png", "gone.png"]}, "image missing"),
        ({"rejected_images": ["gone.png"]}, "image missing"),
        ({"image": None, "images": [], "rejected_images": ["cup.png"]}, "no image"),
        ({"prompt": "<image> or <image>?"}, "misplaced image placeholder"),
        ({"image": None, "images": [], "prompt": "<image>What?"}, "misplaced image placeholder"),
        (
            {"image": None, "images": ["cup.png", "sky.png"], "prompt": "<image>" * 3 + "?"},
            "misplaced image placeholder",
        ),
        (
            {"image": None, "images": ["cup.png", "sky.png"], "prompt": "Is <image> above <image>?"},
            "misplaced image placeholder",
        ),
        ({"chosen": "<image> A cup."}, "misplaced image placeholder"),
        ({"regions": [{"name": "cup", "box": [0, 0, 41, 30]}]}, "malformed region"),
        ({"regions": [{"name": "cup", "box": [0, 0, 10]}]}, "malformed region"),
        ({"regions": [{"name": "cup", "box": [9, 0, 9, 5]}]}, "malformed region"),
        ({"image": None, "images": [], "regions": [REGION]}, "malformed region"),
        ({"image": None, "images": ["cup.png", "sky.png"], "regions": [REGION]}, "malformed region"),
        ({"chosen": 5}, "malformed row"),
        ({"prompt": turns("a?", "b", "c?")}, "more than one turn"),
        ({"region": []}, "unknown field"),
        ({"id": "good 1"}, "repeated id"),
    ],
)
def test_a_bad_row_is_left_out_with_its_reason(folder: Path, changes: dict, reason: str):
    ((counted, _),) = bad(folder, row(**changes))
    assert counted == reason


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_truncated_image_is_detected_before_training(folder: Path, kind: str):
    buffer = io.BytesIO()
    noise_image((400, 300), 90).save(buffer, kind)
    (folder / "torn").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3])
    ((reason, _),) = bad(folder, row(image="torn"))
    assert reason == "image unreadable"


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("<image><image>\nWhat differs?", "What differs?"),
        ("<image>\nWhat differs?", "What differs?"),
        ("What differs? <image> <image>", "What differs?"),
        ("What differs?", "What differs?"),
    ],
)
def test_a_prompt_may_have_one_placeholder_for_each_image(folder: Path, prompt: str, words: str):
    rows = [row(image=None, images=["cup.png", "sky.png"], prompt=prompt)]
    (pair,) = read_pairs(own_folder(folder, rows)).pairs
    assert pair.prompt == words
