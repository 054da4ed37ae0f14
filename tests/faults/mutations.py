"""Damage to files: of their bytes, as by a disk, an editor or a crash, and of their content, as by another program."""

import copy
import json
import re
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 10**400, "", " ", "\x00", "\ud800", "🦄", [], {}, [[]], {"a": 1}, "NaN", "no such",
    "../../etc/passwd", "<script>", "\u202e", "1e5", "٣", " 1", "1.0", [["Yes"]], ["a", "b"], "\x1b[2J", "x" * 5000, 2**63,
    -0.0, float("inf"),
)  # fmt: skip
"""Values that a field does not expect."""
TOKENS = (
    b'"', b"\n", b"\r", b"\r\n", b"\t", b",", b"{", b"}", b"[", b"]", b"\\", b":", b"\xff", b"\xef\xbb\xbf", b"\x00",
    b"\xe2\x80\xa8", b"NaN", b"null", b"1e999", b"''", b"#", b"- ", b"---\n",
)  # fmt: skip
NAMES = (
    "prediction", "text", "response", "state", "error", "extra", "doc", "item", "image", "id", "finish", "tokens", "question",
    "answer", "label", "category", "caption", "doc_id",
)  # fmt: skip


def damaged(random: Random, content: bytes) -> tuple[str, bytes]:
    """What was done, and the bytes after it."""
    start, end = sorted((random.randrange(len(content) + 1), random.randrange(len(content) + 1)))
    kind = random.choice(("flip", "digit", "cut", "insert", "delete", "token", "rotate", "repeat", "repeat key"))
    if kind == "flip":
        changed = bytearray(content)
        for _ in range(random.randrange(1, 6)):
            changed[random.randrange(len(changed))] = random.randrange(256)
        return kind, bytes(changed)
    if kind == "digit":
        digits = [place for place, byte in enumerate(content) if byte in b"0123456789"]
        place = random.choice(digits or [0])
        return kind, content[:place] + b"%d" % random.randrange(10) + content[place + 1 :]
    if kind == "cut":
        return kind, content[:start]
    if kind == "insert":
        return kind, content[:start] + random.randbytes(random.randrange(1, 9)) + content[start:]
    if kind == "delete":
        return kind, content[:start] + content[min(end, start + random.randrange(1, 80)) :]
    if kind == "token":
        return kind, content[:start] + random.choice(TOKENS) + content[start:]
    if kind == "rotate":
        return kind, content[end:] + content[start:end] + content[:start]
    if kind == "repeat key":  # a name that occurs twice in an object, or a row of YAML twice
        names = re.findall(rb'("\w+"): |^( *\w+: )\d', content, re.MULTILINE)
        in_json, in_yaml = random.choice(names or [(b'"x"', b"")])
        if in_yaml:
            return kind, content.rstrip(b"\n") + b"\n" + in_yaml + b"0.5\n"
        place = content.find(b"}", start)
        return kind, content[:place] + b", " + in_json + b': "other"' + content[place:]
    return kind, content[:end] + content[start:end] + content[end:]


def changed_rows(random: Random, rows: list[Any]) -> tuple[str, list[Any]]:
    """The rows after one change of their content."""
    rows = copy.deepcopy(rows)
    kind = random.choice(
        ("value", "drop", "repeat row", "drop row", "shuffle", "odd row", "add", "rename", "swap", "column")
    )
    place = random.randrange(len(rows)) if rows else 0
    if not rows or not isinstance(rows[place], dict) or not rows[place]:
        return "odd row", [*rows[:place], random.choice(ODD), *rows[place + 1 :]]
    row = rows[place]
    name = random.choice(list(row))
    other = random.choice([one for one in rows if isinstance(one, dict)])
    if kind == "value":
        row[name] = random.choice(ODD)
    elif kind == "drop":
        del row[name]
    elif kind == "repeat row":
        rows.insert(random.randrange(len(rows) + 1), copy.deepcopy(row))
    elif kind == "drop row":
        del rows[place]
    elif kind == "shuffle":
        random.shuffle(rows)
    elif kind == "odd row":
        rows[place] = random.choice(ODD)
    elif kind == "add":
        row[random.choice(NAMES)] = random.choice(ODD)
    elif kind == "rename":
        row[f"{name} "] = row.pop(name)
    elif kind == "swap" and name in other:
        row[name], other[name] = other[name], row[name]
    else:
        for one in rows:
            if isinstance(one, dict) and name in one:
                one[name] = random.choice(ODD)
    return kind, rows


def changed_value(random: Random, value: Any) -> Any:
    """A JSON value with something in it deleted or replaced, at any depth."""
    value = copy.deepcopy(value)
    owner, here = None, value
    while isinstance(here, dict | list) and here and (owner is None or random.random() < 0.8):
        key = random.choice(list(here)) if isinstance(here, dict) else random.randrange(len(here))
        owner, here = (here, key), here[key]
    if owner is None:
        return random.choice(ODD)
    if random.random() < 0.3:
        del owner[0][owner[1]]
    else:
        owner[0][owner[1]] = random.choice(ODD)
    return value


def as_bytes(value: Any) -> bytes:
    """JSON as other programs write it: with Infinity, and with half characters as they are."""
    return json.dumps(value).encode()
