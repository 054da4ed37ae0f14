"""What the catalogue holds, and how a file is compared with it."""

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from small_data import sha256, source

from halbench.data.datasets import DIGESTS, Data, Sources, compare, file_states, read_sources
from halbench.errors import InputError
from halbench.fetching.fetch import BUILDERS


def test_every_file_of_the_catalogue_has_an_origin():
    sources = read_sources()
    for entry in sources.files.values():
        assert all(name in sources.files for name in entry.made_from), entry.file
        assert entry.url or entry.member or entry.file in BUILDERS, f"{entry.file} cannot be had"
        assert set(entry.sha256) <= set(DIGESTS), entry.file
    assert all(images.url or images.archive or images.by_hand for images in sources.images.values())


def test_every_file_that_a_score_depends_on_is_pinned():
    assert [entry.file for entry in read_sources().of(None) if entry.use == "score" and not entry.sha256] == []


def test_every_address_in_the_catalogue_is_of_one_commit_or_pinned_by_its_hash():
    for entry in read_sources().files.values():
        commit = any(len(part) == 40 for part in (entry.url or "").split("/"))
        assert commit or not entry.url or entry.sha256, entry.url


def test_a_wrong_field_in_the_catalogue_is_named_with_its_entry(tmp_path):
    path = tmp_path / "sources.json"
    path.write_text(json.dumps({"files": [{"file": "a", "suites": [], "license": "MIT", "sha256": {}}], "images": []}))
    with pytest.raises(InputError, match=r"sources\.json: file 1: unknown field 'license'"):
        read_sources(path)


def test_an_unknown_suite_gets_a_suggestion():
    with pytest.raises(InputError, match=r"'ambre'; did you mean 'amber'\?"):
        read_sources().of("ambre")


@pytest.mark.parametrize(
    ("content", "state"), [(b"right", "ok"), (b"wrong", "differs"), (None, "missing")], ids=["right", "wrong", "absent"]
)
def test_a_file_is_compared_with_its_hash(tmp_path, content, state):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    result = compare(source("file", sha256={"bytes": sha256(b"right")}), path)
    assert result.state == state
    if state == "differs":
        assert (result.expected, result.found) == (sha256(b"right"), sha256(b"wrong"))


def test_a_file_without_a_pinned_hash_is_called_unpinned_and_never_right(tmp_path):
    (tmp_path / "file").write_text("whatever")
    assert compare(source("file"), tmp_path / "file").state == "unpinned"


def test_json_is_the_same_however_it_is_laid_out(tmp_path):
    path = tmp_path / "file.json"
    path.write_text('[{"a": 1, "b": "ü"}]')
    pinned = source("file.json", sha256={"bytes": "0" * 64, "json": DIGESTS["json"](path)})
    path.write_text('[\n {\n  "b": "\\u00fc",\n  "a": 1\n }\n]\n')
    assert compare(pinned, path).state == "ok"
    path.write_text('[{"a": 1, "b": "u"}]')
    assert compare(pinned, path).state == "differs"


def test_a_set_of_lines_is_the_same_in_any_order(tmp_path):
    path = tmp_path / "abbrev_types.txt"
    path.write_bytes(b"dr\nmr\nu.s")
    pinned = source("abbrev_types.txt", sha256={"sorted lines": sha256(b"dr\nmr\nu.s")})
    path.write_bytes(b"u.s\ndr\nmr")
    assert compare(pinned, path).state == "ok"
    path.write_bytes(b"u.s\ndr")
    assert compare(pinned, path).state == "differs"


def test_a_gzip_file_is_the_same_at_any_compression(tmp_path):
    path = tmp_path / "objects.json.gz"
    path.write_bytes(gzip.compress(b"{}" * 500, 1))
    pinned = source("objects.json.gz", sha256={"unzipped": sha256(b"{}" * 500)})
    assert compare(pinned, path).state == "ok"
    path.write_bytes(gzip.compress(b"{}" * 500, 9)[:-9])
    assert compare(pinned, path).found == "unreadable"


def test_wordnet_is_the_same_whatever_else_its_archive_holds(tmp_path):
    def pack(path: Path, noun: str, *more: str) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for pos in ("adj", "adv", "noun", "verb"):
                archive.writestr(f"wordnet/{pos}.exc", "")
                archive.writestr(f"wordnet/index.{pos}", noun if pos == "noun" else "")
            for name in more:
                archive.writestr(f"wordnet/{name}", "licence")
        return path

    pinned = source("wordnet.zip", sha256={"lemma files": DIGESTS["lemma files"](pack(tmp_path / "a.zip", "dog n"))})
    assert compare(pinned, pack(tmp_path / "b.zip", "dog n", "LICENSE", "data.noun")).state == "ok"
    assert compare(pinned, pack(tmp_path / "c.zip", "cat n")).state == "differs"


def test_status_says_what_must_be_placed_by_hand(tmp_path):
    sources = read_sources()
    assert "{folder}/AMBER_1.jpg" in str(sources.images["amber"].by_hand)


def test_the_real_data_is_what_the_catalogue_pins(data: Data):
    states = file_states(read_sources().of(None), data)
    assert {
        state.source.file: state.state for state in states if state.source.use == "score" and state.state != "ok"
    } == {}


def test_a_catalogue_lists_the_files_of_one_suite():
    sources = Sources(
        {"a": source("a", suites=["x"]), "b": source("b", suites=["x", "y"]), "c": source("c", suites=[])}, {}
    )
    assert [entry.file for entry in sources.of("y")] == ["b"]
    assert [entry.file for entry in sources.of(None)] == ["a", "b"]
