"""Proof that two training runs saw identical data: what is recorded of each, and how two of them are held together.

    {"pairs": "9f2c...", "used": 398, "dropped": ["17"], "order": ["ab12...", "cd34..."], "seed": 0,
     "views": {"chosen": {"version": "1", "hash": "..."}}, "model": "86f8...", "reference": "77aa...", ...}

Every value is a hash of content, a count or a version; none depends on where files lie.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from baselines.reference import Surveyed
from baselines.types import Variant
from baselines.variants import combined_hash, hit_rate
from halbench.records import content_hash
from halbench.run_folder import differing_fields

SHARED = ("pairs", "used", "dropped", "seed", "order", "model", "reference")


def order_hash(ids: Sequence[str]) -> str:
    """Of the pairs' ids in the order in which one epoch trains them."""
    return content_hash(list(ids))


def view_proof(seen: Sequence[Surveyed], versions: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """View -> its version, the hash of what it showed, asked and answered over all pairs in the data's order and, where
    it looked for regions, how often it found them."""
    found = {}
    for view, version in versions.items():
        hits = hit_rate(Variant("", "", notes=pair.notes[view]) for pair in seen if view in pair.notes)
        digest = combined_hash((pair.id, pair.contents[view]) for pair in seen)
        found[view] = {"version": version, "hash": digest, **({"regions": str(hits)} if hits else {})}
    return found


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """In what the data of two runs differ, from their identities; [] where both saw the same.

    Views that only one of them uses are its own affair.
    """
    both = [view for view in first["views"] if view in second["views"]]
    one, other = (
        {**{name: run[name] for name in SHARED}, "views": {view: run["views"][view] for view in both}}
        for run in (first, second)
    )
    return differing_fields(one, other)


def describe(identity: Mapping[str, Any]) -> str:
    """The identity as lines for people."""
    rows = [
        (
            "pairs",
            f"{identity['pairs']}  ({identity['used']} used, {len(identity['dropped'])} too long, {identity['unreadable']} bad rows)",
        ),
        ("order", "  ".join(identity["order"])),
        *(
            (f"view {view}", f"{made['hash']}  (version {made['version']}) {made.get('regions', '')}".rstrip())
            for view, made in identity["views"].items()
        ),
        ("model", identity["model"]),
        ("reference", identity["reference"]),
        *((("questions", identity["questions"]),) if "questions" in identity else ()),
        ("seed", str(identity["seed"])),
    ]
    return "\n".join(f"{name:<22}{value}" for name, value in rows)
