"""Where rows come from."""

import json
from pathlib import Path

import pytest
from preference_rows import ANSWERS, QUESTION, png

from baselines.pairs.preferences import read_pairs
from halbench.errors import InputError


def test_embedded_images_are_written_once_under_the_hash_of_their_content(tmp_path: Path):
    pytest.importorskip("pyarrow", reason="Parquet needs the extra train")
    import pandas

    text = json.dumps({"question": QUESTION, **ANSWERS})
    rows = [{"image": {"bytes": png(), "path": "a.png"}, "text": text, "idx": number} for number in range(3)]
    for shard in range(2):
        pandas.DataFrame(rows).to_parquet(tmp_path / f"train-{shard}.parquet")
    pairs = read_pairs(tmp_path, image_cache=tmp_path / "cache").pairs
    assert [pair.id for pair in pairs] == ["0", "1", "2", "0#2", "1#2", "2#2"]
    (image,) = (tmp_path / "cache").iterdir()
    assert {pair.images for pair in pairs} == {(image,)}
    assert image.read_bytes() == png()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere/to/be/found", "does not exist; expected a folder with pairs.jsonl"),
        ("some.csv", "expected a .jsonl, .json or .parquet file"),
        ("empty.jsonl", "contains no rows"),
        ("object.json", "expected a list of rows, found dict"),
        (".", "expected pairs.jsonl or files of one kind"),
    ],
)
def test_wrong_sources_are_answered_in_one_line(folder: Path, source: str, message: str):
    (folder / "some.csv").write_text("a,b\n")
    (folder / "empty.jsonl").write_text("\n")
    (folder / "object.json").write_text("{}")
    with pytest.raises(InputError) as error:
        read_pairs(folder / source)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
