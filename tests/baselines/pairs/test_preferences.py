"""Reading preference data: bad rows are counted, ids are unique, and the hash identifies a set."""

from collections import Counter
from pathlib import Path

import old_set
import pytest
from old_set import write_old_set
from preference_rows import own_folder, png, row, write

from baselines.pairs.preferences import read_pairs
from baselines.types import Region
from halbench.errors import InputError


def test_our_own_folder_keeps_ids_regions_and_meta(folder: Path):
    regions = [{"name": "cup", "box": [2, 3, 20, 28]}]
    write(folder / "pairs.jsonl", [row(regions=regions, meta={"source": "hand"})])
    (pair,) = read_pairs(folder).pairs
    assert (pair.id, pair.regions, pair.meta) == ("1", (Region("cup", (2.0, 3.0, 20.0, 28.0)),), {"source": "hand"})


def test_images_may_be_in_another_folder(folder: Path, tmp_path_factory):
    path = write(tmp_path_factory.mktemp("rows") / "rows.json", [row()])
    assert read_pairs(path, images=folder).pairs[0].images == (folder / "cup.png",)


def test_more_bad_rows_than_tolerated_stop_with_the_first_ones(folder: Path):
    rows = [row(id=str(number)) for number in range(98)] + [row(id="98", chosen=""), row(id="99", image="gone.png")]
    with pytest.raises(InputError) as error:
        read_pairs(own_folder(folder, rows))
    message = str(error.value)
    assert "2 of 100 rows are not valid pairs, more than the 1% tolerated (1 empty text, 1 image missing)" in message
    assert "pairs.jsonl:99: empty text: 'chosen' is empty" in message
    preferences = read_pairs(folder, tolerate=0.02)
    assert len(preferences.pairs) == 98
    assert Counter(row.reason for row in preferences.dropped) == {"empty text": 1, "image missing": 1}


def test_the_hash_covers_what_the_model_sees_and_nothing_else(folder: Path, tmp_path_factory):
    rows = [row(id="1"), row(id="2", image="sky.png")]
    first = read_pairs(own_folder(folder, rows))
    assert read_pairs(own_folder(folder, [row(id="1", meta={"note": 1}), rows[1]])).hash == first.hash
    assert read_pairs(own_folder(folder, rows[::-1])).hash != first.hash
    regions = [{"name": "cup", "box": [0, 0, 9, 9]}]
    for change in ({"id": "3"}, {"prompt": "Why?"}, {"chosen": "No."}, {"rejected": "Yes."}, {"regions": regions}):
        assert read_pairs(own_folder(folder, [row(**change), rows[1]])).hash != first.hash, change
    elsewhere = tmp_path_factory.mktemp("copy")
    for path in folder.iterdir():
        (elsewhere / path.name).write_bytes(path.read_bytes())
    assert read_pairs(own_folder(elsewhere, rows)).hash == first.hash
    (elsewhere / "cup.png").write_bytes(png("green"))
    assert read_pairs(elsewhere).hash != first.hash


def test_limit_reads_only_the_first_rows(folder: Path):
    rows = [row(id="1"), row(id="2"), row(id="3", chosen="")]
    assert [pair.id for pair in read_pairs(own_folder(folder, rows), limit=2).pairs] == ["1", "2"]


def test_the_hash_of_a_set_with_one_image_each_is_that_of_earlier_releases(tmp_path: Path):
    """So that a training recorded before pairs could have several images is still known to be on the same pairs."""
    assert read_pairs(write_old_set(tmp_path)).hash == old_set.HASH


def test_images_and_rejected_images_are_part_of_the_hash(folder: Path):
    two = {"image": None, "images": ["cup.png", "sky.png"]}
    changes = (
        {},
        two,
        {"image": None, "images": ["sky.png", "cup.png"]},
        {"image": None, "images": []},
        {"rejected_images": ["sky.png"]},
        {**two, "rejected_images": ["sky.png", "cup.png"]},
    )
    assert len({read_pairs(own_folder(folder, [row(**change)])).hash for change in changes}) == len(changes)
    assert (
        read_pairs(own_folder(folder, [row(image=None, images=["cup.png"])])).hash
        == read_pairs(own_folder(folder, [row()])).hash
    ), "one image is one image, however it is written"
