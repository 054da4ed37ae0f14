"""Opening a suite: by name, by file, and over damaged data."""

import gzip
import shutil

import own_suite
import pytest
from own_suite import COVERAGE, MADE_UP
from stored import score

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.evaluation.suites import load_suite, open_task, suite_by_name


def test_a_damaged_data_file_is_named(data, tmp_path):
    for suite in ("amber", "chair"):
        shutil.copytree(data.root / suite, tmp_path / suite)
    (tmp_path / "amber/annotations.json").write_text("[]")
    damaged = bytearray(gzip.compress(b"x" * 1000))
    damaged[20] ^= 255
    (tmp_path / "chair/coco2014_objects_wordnet.json.gz").write_bytes(damaged)
    for suite, file in (("amber", "amber/gen_edge.json"), ("chair", "chair/minigpt4_ours.jsonl")):
        with pytest.raises(
            InputError, match=r"annotations.json is not as|coco2014_objects_wordnet.json.gz: not a gzipped"
        ):
            score(suite, data.root / "responses" / file, Data(tmp_path))


def test_the_hash_of_a_suite_file_is_part_of_its_version(tmp_path):
    path = own_suite.write(tmp_path, MADE_UP, COVERAGE)
    before = load_suite(str(path)).version
    path.write_text(path.read_text() + "\n# changed\n")
    after = load_suite(str(path)).version
    assert before != after
    assert before.startswith("1-")
    assert after.startswith("1-")
    assert load_suite("chair").version == "1"


def test_a_run_folder_s_suite_is_built_in_or_in_the_file_that_the_user_names(tmp_path):
    path = str(own_suite.write(tmp_path, MADE_UP, COVERAGE))
    assert suite_by_name("own", path).name == "own"
    assert suite_by_name("pope").name == "pope"
    with pytest.raises(InputError, match="suite 'own' is not built in: name its file with --suite FILE"):
        suite_by_name("own")
    with pytest.raises(InputError, match=r"suite 'other' is not built in: .* defines 'own'"):
        suite_by_name("other", path)


def test_a_limit_keeps_the_first_items(tmp_path):
    suite = load_suite(str(own_suite.write(tmp_path, MADE_UP, COVERAGE)))
    task = open_task(suite, Data(tmp_path), suite.options(), limit=3)
    assert [item.id for item in task.items] == ["0", "1", "2"]
