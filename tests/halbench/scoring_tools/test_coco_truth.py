"""The objects of COCO images from a hand-made archive in COCO's own layout, against sets worked out by hand."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

import halbench.scoring_tools.coco_truth
from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.scoring_tools.coco_truth import build_truth, elements, write_truth
from halbench.terminal import progress

CATEGORIES = [
    {"supercategory": "animal", "id": 18, "name": "dog"},
    {"supercategory": "vehicle", "id": 6, "name": "bus"},
    {"supercategory": "furniture", "id": 62, "name": "chair"},
    {"supercategory": "furniture", "id": 67, "name": "dining table"},
]
INSTANCES = {"train2014": [(9, 62), (9, 62)], "val2014": [(42, 18), (139, 67), (139, 62)]}
CAPTIONS = {
    "train2014": [(9, "Two men sit on a sofa."), (9, "Nothing to see"), (25, "Seated by a wine glass and a bus")],
    "val2014": [(42, "A puppy curled up in a hot dog bun"), (73, "The seat of the toilet"), (5, "An empty field")],
}
# "seated" -> seat -> chair, "puppy" -> dog, "sofa" -> couch; toilet drops its seat. WordNet knows "men" as a word of its
# own, so that it is no man and no person.
WORDNET = {
    5: [],
    9: ["chair", "couch"],
    25: ["bus", "chair", "wine glass"],
    42: ["dog", "hot dog"],
    73: ["toilet"],
    139: ["chair", "dining table"],
}
# Pattern's singular of "men" is "man"; it leaves "seated" alone and reads "bus" as the plural of "bu".
PATTERN = WORDNET | {9: ["chair", "couch", "person"], 25: ["wine glass"]}


def annotation_files() -> dict[str, object]:
    files: dict[str, object] = {}
    for split in ("train2014", "val2014"):
        instances = [
            {
                "segmentation": [[1.5, 2, 3]],
                "area": 9.25,
                "iscrowd": 0,
                "image_id": image,
                "bbox": [0, 0, 3, 3],
                "category_id": kind,
                "id": n,
            }
            for n, (image, kind) in enumerate(INSTANCES[split])
        ]
        captions = [{"image_id": image, "id": n, "caption": text} for n, (image, text) in enumerate(CAPTIONS[split])]
        head = {"info": {"year": 2014}, "images": [{"id": 1, "file_name": "a.jpg"}], "licenses": []}
        files[f"instances_{split}"] = {**head, "annotations": instances, "categories": CATEGORIES}
        files[f"captions_{split}"] = {**head, "annotations": captions}
        files[f"person_keypoints_{split}"] = {**head, "annotations": []}
    return files


@pytest.fixture
def archive(tmp_path) -> Path:
    return pack(tmp_path / "annotations_trainval2014.zip", annotation_files())


def pack(path: Path, files: dict[str, object]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in files.items():
            opened.writestr(f"annotations/{name}.json", json.dumps(content))
    return path


def build(source: Path, data: Data, mode: str = "wordnet", processes: int = 1) -> dict[int, list[str]]:
    return build_truth(source, data.file("chair/synonyms.txt"), mode, data, processes)


@pytest.mark.parametrize(("mode", "expected"), [("wordnet", WORDNET), ("pattern", PATTERN)])
def test_objects_are_instances_and_what_the_captions_name(data, archive, mode, expected):
    assert build(archive, data, mode) == expected


def test_unpacked_files_do_as_well_as_the_archive(data, archive, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    assert build(tmp_path, data) == WORDNET
    assert build(tmp_path / "annotations", data) == WORDNET


@pytest.fixture
def batches_of_two(monkeypatch):
    """Captions are read in batches of two, and each batch is a line of progress."""
    monkeypatch.setattr(halbench.scoring_tools.coco_truth, "CAPTIONS_AT_ONCE", 2)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)


def progress_of(capsys, mode: str) -> list[str]:
    """What the lines of progress say was read, of how many captions."""
    begin = f"halbench: captions of COCO 2014 ({mode}): "
    return [line.removeprefix(begin).split(",")[0] for line in capsys.readouterr().err.splitlines()]


def test_two_processes_give_what_one_gives(data, archive, batches_of_two, capsys):
    assert build(archive, data, "pattern", processes=2) == PATTERN
    assert progress_of(capsys, "pattern") == ["2 of 6", "4 of 6", "6 of 6"]


def test_progress_is_written_while_captions_are_read(data, archive, batches_of_two, capsys):
    build(archive, data)
    assert progress_of(capsys, "wordnet") == ["2 of 6", "4 of 6", "6 of 6"]


def test_a_file_missing_from_the_archive_is_named(data, tmp_path):
    files = annotation_files()
    del files["captions_val2014"]
    broken = pack(tmp_path / "broken.zip", files)
    with pytest.raises(InputError, match=r"broken\.zip: expected COCO's .* with annotations/captions_val2014\.json"):
        build(broken, data)


def test_a_category_that_the_synonym_list_lacks_is_an_error(data, tmp_path):
    files = annotation_files()
    files["instances_val2014"] = {"annotations": [], "categories": [{"id": 1, "name": "unicorn"}]}
    with pytest.raises(InputError, match="category 'unicorn' of instances_val2014 is not in the synonym list"):
        build(pack(tmp_path / "other.zip", files), data)


def test_a_torn_annotation_file_is_an_error(data, tmp_path):
    whole = json.dumps(annotation_files()["instances_train2014"])
    with zipfile.ZipFile(tmp_path / "torn.zip", "w") as opened:
        opened.writestr("annotations/instances_train2014.json", whole[:-40])
    with pytest.raises(InputError, match=r"instances_train2014\.json \(ends too early\)"):
        build(tmp_path / "torn.zip", data)


def test_the_same_truth_gives_the_same_bytes(tmp_path):
    for name in ("a.json.gz", "b.json.gz"):
        write_truth(tmp_path / name, WORDNET)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def test_truth_is_written_in_the_form_of_the_published_files(data, tmp_path):
    published = gzip.decompress(data.file("chair/coco2014_objects_wordnet.json.gz").read_bytes())
    first = {int(image): objects for image, objects in list(json.loads(published).items())[:1000]}
    write_truth(tmp_path / "truth.json.gz", first)
    assert published.startswith(gzip.decompress((tmp_path / "truth.json.gz").read_bytes()).removesuffix(b"}"))


@pytest.mark.parametrize("block", [1, 2, 7, 64, 10_000])
def test_a_stream_is_read_the_same_in_blocks_of_any_size(block):
    value = {
        "info": {"a": [1, {"b": "]}"}]}, "n": -12.5e3, "text": 'a "quoted" ü, ]', "none": None, "empty": [],
        "rows": [{"id": 1, "at": [[0.5, 2]]}, {"id": 22}, 333, "x", []], "last": [True],
    }  # fmt: skip
    for text in (json.dumps(value), json.dumps(value, indent=2)):
        read = list(elements(io.StringIO(text), block))
        assert [item for name, item in read if name == "rows"] == value["rows"]
        assert dict(item for item in read if item[0] not in ("rows", "last")) == {
            k: v for k, v in value.items() if not isinstance(v, list)
        }
        assert read[-1] == ("last", True)


@pytest.mark.parametrize("text", ["", "[1]", '{"a": [1, 2', '{"a": 1', '{"a": [{"b": 1}'])
def test_what_is_no_whole_json_object_is_refused(text):
    with pytest.raises(ValueError, match=r"too early|not a JSON object"):
        list(elements(io.StringIO(text)))
