"""Preference data: every layout gives the same pairs, bad rows are named, and the hash tells one set from another."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from baselines.preferences import read_pairs
from baselines.types import Region
from halbench.errors import InputError

QUESTION, CHOSEN, REJECTED = "What is on the table?", "A red cup.", "A red cup and a knife."


def png(colour: str = "red", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "png")
    return buffer.getvalue()


def row(**changes) -> dict:
    return {"id": "1", "image": "cup.png", "prompt": QUESTION, "chosen": CHOSEN, "rejected": REJECTED, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("cup", "red"), ("sky", "blue")):
        (tmp_path / f"{name}.png").write_bytes(png(colour))
    return tmp_path


def write(path: Path, rows: list[dict]) -> Path:
    lines = path.suffix == ".jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) if lines else json.dumps(rows))
    return path


def said(role: str, text: str, image: bool = False) -> dict:
    return {"role": role, "content": [*([{"type": "image"}] if image else []), {"type": "text", "text": text}]}


def turns(*texts: str) -> list[dict]:
    return [{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(texts)]


VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and "
    f"polite answers to the user's questions. USER: <image>\n{QUESTION} ASSISTANT:"
)
ANSWERS = {"chosen": CHOSEN, "rejected": REJECTED}
LAYOUTS = {
    "RLHF-V": {
        "ds_name": "RLHF-V",
        "image": "cup.png",
        "text": json.dumps({"question": QUESTION, **ANSWERS}),
        "idx": 7,
    },
    "RLAIF-V": {"ds_name": "RLAIF-V", "image": {"path": "cup.png", "bytes": None}, "question": QUESTION, **ANSWERS},
    "mDPO": {"img_path": "cup.png", "prompt": VICUNA, **ANSWERS},
    "mDPO, bare prompt": {"img_path": "cup.png", "prompt": f"<image>\n{QUESTION}", **ANSWERS},
    "TRL, text": {"images": ["cup.png"], "prompt": QUESTION, "chosen": " " + CHOSEN, "rejected": " " + REJECTED},
    "TRL, messages": {
        "images": ["cup.png"],
        "prompt": [said("user", QUESTION, image=True)],
        "chosen": [said("assistant", CHOSEN)],
        "rejected": [said("assistant", REJECTED)],
    },
    "TRL, prompt within the answers": {
        "image": "cup.png",
        "chosen": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": CHOSEN}],
        "rejected": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": REJECTED}],
    },
    "LLaVA turns, answers apart": {
        "image": "cup.png",
        "conversations": turns(f"{QUESTION}\n<image>"),
        "chosen": {"from": "gpt", "value": CHOSEN},
        "rejected": {"from": "gpt", "value": REJECTED},
    },
    "LLaVA turns, two conversations": {
        "image": "cup.png",
        "conversations": turns(f"<image>\n{QUESTION}", CHOSEN),
        "rejected_conversations": turns(f"<image>\n{QUESTION}", REJECTED),
    },
    "LLaVA turns, two outputs": {
        "image": "cup.png",
        "conversations": turns(f"<image>\n{QUESTION}"),
        "output_1": {"from": "llava", "value": REJECTED},
        "output_2": {"from": "llava", "value": CHOSEN},
        "preference": 2,
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_every_layout_gives_the_same_pair(folder: Path, layout: str, suffix: str):
    (pair,) = read_pairs(write(folder / f"rows.{suffix}", [LAYOUTS[layout]])).pairs
    assert (pair.prompt, pair.chosen, pair.rejected, pair.image) == (QUESTION, CHOSEN, REJECTED, folder / "cup.png")


def test_our_own_folder_keeps_ids_regions_and_meta(folder: Path):
    regions = [{"name": "cup", "box": [2, 3, 20, 28]}]
    write(folder / "pairs.jsonl", [row(regions=regions, meta={"source": "hand"})])
    (pair,) = read_pairs(folder).pairs
    assert (pair.id, pair.regions, pair.meta) == ("1", (Region("cup", (2.0, 3.0, 20.0, 28.0)),), {"source": "hand"})


def test_images_may_lie_elsewhere(folder: Path, tmp_path_factory):
    path = write(tmp_path_factory.mktemp("rows") / "rows.json", [row()])
    assert read_pairs(path, images=folder).pairs[0].image == folder / "cup.png"


def test_embedded_images_are_written_once_under_the_hash_of_their_content(tmp_path: Path):
    pytest.importorskip("pyarrow", reason="Parquet needs the extra train")
    import pandas

    text = json.dumps({"question": QUESTION, **ANSWERS})
    rows = [{"image": {"bytes": png(), "path": "a.png"}, "text": text, "idx": number} for number in range(3)]
    for shard in range(2):
        pandas.DataFrame(rows).to_parquet(tmp_path / f"train-{shard}.parquet")
    found = read_pairs(tmp_path, image_cache=tmp_path / "cache")
    assert [pair.id for pair in found.pairs] == ["0", "1", "2", "0#2", "1#2", "2#2"]
    (image,) = (tmp_path / "cache").iterdir()
    assert {pair.image for pair in found.pairs} == {image}
    assert image.read_bytes() == png()


def bad(folder: Path, *rows: dict) -> list[tuple[str, str]]:
    """Reason and detail of each bad row among good ones."""
    good = [row(id=f"good {number}") for number in range(2)]
    found = read_pairs(_own(folder, [*good, *rows]), tolerate=1.0)
    assert [pair.id for pair in found.pairs[:2]] == ["good 0", "good 1"]
    return [(dropped.reason, dropped.detail) for dropped in found.dropped]


def _own(folder: Path, rows: list[dict]) -> Path:
    write(folder / "pairs.jsonl", rows)
    return folder


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chosen": "  "}, "empty text"),
        ({"prompt": "<image>\n"}, "empty text"),
        ({"rejected": CHOSEN + " "}, "equal answers"),
        ({"image": "nowhere.png"}, "image missing"),
        ({"image": None}, "no image"),
        ({"prompt": "<image> or <image>?"}, "misplaced image placeholder"),
        ({"chosen": "<image> A cup."}, "misplaced image placeholder"),
        ({"regions": [{"name": "cup", "box": [0, 0, 41, 30]}]}, "malformed region"),
        ({"regions": [{"name": "cup", "box": [0, 0, 10]}]}, "malformed region"),
        ({"regions": [{"name": "cup", "box": [9, 0, 9, 5]}]}, "malformed region"),
        ({"chosen": 5}, "malformed row"),
        ({"prompt": turns("a?", "b", "c?")}, "more than one turn"),
        ({"region": []}, "unknown field"),
        ({"id": "good 1"}, "repeated id"),
    ],
)
def test_a_bad_row_is_left_out_with_its_reason(folder: Path, changes: dict, reason: str):
    ((found, _),) = bad(folder, row(**changes))
    assert found == reason


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_an_image_that_is_cut_short_is_found_before_training(folder: Path, kind: str):
    buffer = io.BytesIO()
    Image.effect_noise((400, 300), 90).convert("RGB").save(buffer, kind)
    (folder / "torn").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3])
    ((reason, _),) = bad(folder, row(image="torn"))
    assert reason == "image unreadable"


def test_more_bad_rows_than_tolerated_stop_with_the_first_ones(folder: Path):
    rows = [row(id=str(number)) for number in range(98)] + [row(id="98", chosen=""), row(id="99", image="gone.png")]
    with pytest.raises(InputError) as error:
        read_pairs(_own(folder, rows))
    message = str(error.value)
    assert (
        "2 of 100 rows are no usable preference, more than the 1% tolerated (1 empty text, 1 image missing)" in message
    )
    assert "pairs.jsonl:99: empty text: 'chosen' is empty" in message
    found = read_pairs(folder, tolerate=0.02)
    assert len(found.pairs) == 98
    assert Counter(row.reason for row in found.dropped) == {"empty text": 1, "image missing": 1}


def test_the_hash_covers_what_the_model_sees_and_nothing_else(folder: Path, tmp_path_factory):
    rows = [row(id="1"), row(id="2", image="sky.png")]
    first = read_pairs(_own(folder, rows))
    assert read_pairs(_own(folder, [row(id="1", meta={"note": 1}), rows[1]])).hash == first.hash
    turned = read_pairs(_own(folder, rows[::-1]))
    assert turned.hash != first.hash
    assert turned.unordered_hash == first.unordered_hash
    regions = [{"name": "cup", "box": [0, 0, 9, 9]}]
    for change in ({"id": "3"}, {"prompt": "Why?"}, {"chosen": "No."}, {"rejected": "Yes."}, {"regions": regions}):
        assert read_pairs(_own(folder, [row(**change), rows[1]])).unordered_hash != first.unordered_hash, change
    elsewhere = tmp_path_factory.mktemp("copy")
    for path in folder.iterdir():
        (elsewhere / path.name).write_bytes(path.read_bytes())
    assert read_pairs(_own(elsewhere, rows)).hash == first.hash
    (elsewhere / "cup.png").write_bytes(png("green"))
    assert read_pairs(elsewhere).hash != first.hash


@pytest.mark.parametrize(
    ("layout", "change"),
    [
        ("TRL, prompt within the answers", {"rejected": None}),
        ("TRL, messages", {"chosen": [{"role": "assistant", "content": ["plain"]}]}),
        ("LLaVA turns, two conversations", {"rejected_conversations": None}),
        ("LLaVA turns, answers apart", {"conversations": [None]}),
        ("RLAIF-V", {"image": {"path": "cup\0.png"}}),
    ],
)
def test_a_row_of_another_shape_is_left_out_and_named(folder: Path, layout: str, change: dict):
    changed = {name: value for name, value in (LAYOUTS[layout] | change).items() if value is not None}
    found = read_pairs(write(folder / "rows.jsonl", [LAYOUTS[layout]] * 150 + [changed]))
    assert (len(found.pairs), [row.where for row in found.dropped]) == (150, [f"{folder / 'rows.jsonl'}:151"])


def test_limit_reads_only_the_first_rows(folder: Path):
    rows = [row(id="1"), row(id="2"), row(id="3", chosen="")]
    assert [pair.id for pair in read_pairs(_own(folder, rows), limit=2).pairs] == ["1", "2"]


def test_an_unknown_layout_lists_the_known_ones(folder: Path):
    path = write(folder / "rows.json", [{"picture": "cup.png", "better": "a", "worse": "b"}])
    with pytest.raises(
        InputError, match=r"rows.json:1: no known layout has the fields picture, better, worse. Known: LLaVA"
    ):
        read_pairs(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere/to/be/found", "does not exist; expected a folder with pairs.jsonl"),
        ("some.csv", "expected a .jsonl, .json or .parquet file"),
        ("empty.jsonl", "holds no rows"),
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
