"""Dataclasses to JSON and back, with errors that name file, line and field."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from halbench.errors import InputError
from halbench.files.records import (
    as_json,
    content_hash,
    differing_fields,
    dumps,
    from_row,
    loads,
    read_json,
    read_jsonl,
    write_jsonl,
)


@dataclass(frozen=True)
class Row:
    name: str
    state: Literal["ok", "failed"] = "ok"
    count: int | None = None
    share: float = 0.5
    words: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


def test_a_dataclass_survives_the_way_to_json_and_back():
    row = Row("a", "failed", 3, 1, ("x", "y"), {"path": "p"})
    assert from_row(Row, json.loads(dumps(row)), "here") == row


def test_paths_sets_and_tuples_become_plain_values():
    assert as_json({"path": Path("a/b"), 1: ("x", {"y"})}) == {"path": "a/b", "1": ["x", ["y"]]}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"nam": "a"}, "here: unknown field 'nam' for Row (fields: name, state, count, share, words, extra)"),
        ({"state": "ok"}, "here: missing field 'name' for Row"),
        ({"name": 1}, "here: field 'name' of Row cannot be 1"),
        ({"name": "a", "state": "fine"}, "here: field 'state' of Row cannot be \"fine\""),
        ({"name": "a", "count": True}, "here: field 'count' of Row cannot be true"),
        ({"name": "a", "words": "x"}, "here: field 'words' of Row cannot be \"x\""),
        ({"name": "a", "extra": None}, "here: field 'extra' of Row cannot be null"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_field(row, complaint):
    with pytest.raises(InputError) as error:
        from_row(Row, row, "here")
    assert complaint in str(error.value)


def test_a_torn_last_line_is_skipped_only_where_that_is_expected(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n{"a": ')
    assert list(read_jsonl(path, torn_tail=True)) == [(1, {"a": 1}), (3, {"a": 2})]
    with pytest.raises(InputError, match=r"a\.jsonl:4: not valid JSON"):
        list(read_jsonl(path))
    path.write_text('{"a": \n{"a": 2}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:1: not valid JSON"):
        list(read_jsonl(path, torn_tail=True))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"a": 1,\n"b" 2}', r"a\.json:2: not valid JSON"),
        (b'{"a": NaN}', "NaN is not a JSON value"),
        (b'{"a": {"b": 1, "b": 2}}', "'b' occurs twice in one object"),
        (b"\xff\xfe", "not UTF-8 text"),
        (None, "cannot be read"),
    ],
)
def test_a_json_file_that_cannot_be_read_is_named(tmp_path, content, complaint):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        read_json(tmp_path / "a.json")


def test_half_a_character_is_written_as_an_escape(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"text": "\ud83d and \u00e9"}])
    assert [row for _, row in read_jsonl(tmp_path / "a.jsonl")] == [{"text": "\ud83d and \u00e9"}]


def test_a_number_that_json_lacks_is_never_written():
    with pytest.raises(ValueError, match="JSON"):
        dumps({"a": float("nan")})


def test_nesting_that_python_cannot_take_is_a_value_error():
    with pytest.raises(ValueError, match="nested too deeply"):
        loads("[" * 100_000)


def test_a_hash_depends_on_content_and_not_on_the_order_of_keys():
    assert content_hash({"a": 1, "b": [2]}) == content_hash({"b": [2], "a": 1}) == "0855bfc20eb6"
    assert content_hash({"a": 1}) != content_hash({"a": 2})


def test_differences_are_named_by_their_path():
    recorded = {"model": "a", "decoding": {"num_beams": 3, "top_p": 1.0}}
    current = {"model": "a", "decoding": {"num_beams": 1, "top_p": 1.0}, "limit": 5}
    assert differing_fields(recorded, current) == [
        "decoding.num_beams: 3 (recorded), 1 (requested)",
        "limit: null (recorded), 5 (requested)",
    ]
