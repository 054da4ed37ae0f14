"""halbench preview-pairs: a view of each pair, drawn and hashed."""

import json
from pathlib import Path

import pytest
from dog_pairs import hash_of_view, write_dog_pairs
from old_set import VIEW_HASHES, write_old_set
from PIL import Image

from baselines.pairs.preferences import read_pairs
from baselines.view_tools.tools import open_tools
from halbench.data.datasets import Data


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """A folder of three pairs without regions."""
    rows = [
        {
            "id": pair.id,
            "image": pair.images[0].name,
            "prompt": pair.prompt,
            "chosen": pair.chosen,
            "rejected": "A cat.",
        }
        for pair in write_dog_pairs(tmp_path)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_the_picture_is_drawn_and_the_hash_printed(dogs: Path, data: Data, halbench):
    png = dogs / "out" / "sheet.png"
    flags = ("--pairs", dogs, "--view", "region_noised", "--out", png, "--data", data.root)
    done = halbench("preview-pairs", *flags)
    assert done.returncode == 0
    printed = done.stdout
    preferences = read_pairs(dogs)
    tools = open_tools(["region_noised"], preferences.pairs, data)
    digest = hash_of_view("region_noised", list(preferences.pairs), 0, tools)
    assert f"view region_noised, seed 0, 3 pairs: {digest}" in printed
    assert f"pairs: {preferences.hash}" in printed
    assert "0 of 9 keywords found (0%); 3 of 3 images noised all over" in printed
    assert Image.open(png).size[0] > 1000


def test_the_hash_of_a_view_is_that_of_earlier_releases(tmp_path: Path, halbench):
    done = halbench("preview-pairs", "--pairs", write_old_set(tmp_path), "--view", "cropped")
    assert done.returncode == 0
    assert f"view cropped, seed 0, 3 pairs: {VIEW_HASHES['cropped']}" in done.stdout


def test_the_model_that_is_named_is_attacked(dogs: Path, halbench):
    flags = ("--model", "scenes:base", "--cache", dogs / "cache", "--out", dogs / "a.png", "--limit", 1)
    done = halbench("preview-pairs", "--pairs", dogs, "--view", "adversarial", *flags)
    assert done.returncode == 0
    assert "view adversarial, seed 0, first 1 pairs" in done.stdout
    assert len(list((dogs / "cache" / "adversarial").glob("*.png"))) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("VERSION, NEEDS = '1', ()\n", "own_view.py: does not define make"),
        (
            "VERSION, NEEDS = '1', ()\ndef make(pair, seed, tools):\n    return pair.picture\n",
            "own_view.py:3: AttributeError",
        ),
        (
            "VERSION, NEEDS = '1', ()\ndef make(pair, seed, tools):\n    return pair\n",
            "own_view.py:2: make(): expected Variant",
        ),
    ],
)
def test_a_mistake_in_a_view_of_ones_own_is_one_line(text, complaint, dogs: Path, halbench):
    (dogs / "own_view.py").write_text(text)
    done = halbench("preview-pairs", "--pairs", dogs, "--view", dogs / "own_view.py")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert complaint in line
    assert "bug" not in line
