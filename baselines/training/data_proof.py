"""Proof that two training runs saw identical data: what is recorded of each, and how two records are compared.

    {"pairs": "9f2c...", "used": 398, "dropped": ["17"], "order": ["ab12...", "cd34..."], "seed": 0,
     "views": {"chosen": {"version": "1", "hash": "..."}}, "model": "86f8...", "reference": "77aa...", ...}

Every value is a hash of content, a count or a version; none depends on where files are. training.json has it as
"identity".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from baselines.encoding.reference import PairInfo
from baselines.pairs.content_hashes import view_hash
from baselines.view_tools.hit_rate import hit_rate
from halbench.files.records import content_hash, differing_fields

SHARED = ("pairs", "used", "dropped", "seed", "order", "model", "reference")
RUNS = ("(first run)", "(this run)")
"""How the two runs of a difference are labelled."""


def order_hash(ids: Sequence[str]) -> str:
    """Hash of the pairs' ids in the order of one epoch."""
    return content_hash(list(ids))


def view_proof(infos: Sequence[PairInfo], versions: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """View -> its version, the hash of its images, prompts and answers over all pairs in the data's order and, if it
    looks for regions, how often it found them."""
    proof = {}
    for view, version in versions.items():
        hits = hit_rate(info.notes[view] for info in infos if view in info.notes)
        digest = view_hash((info.id, info.contents[view]) for info in infos)
        proof[view] = {"version": version, "hash": digest, **({"regions": str(hits)} if hits else {})}
    return proof


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """How the data of two runs differ, by their proofs; [] if both saw the same.

    Views that only one of them uses are not compared.
    """
    both = [view for view in first["views"] if view in second["views"]]
    one, other = (
        {**{name: run[name] for name in SHARED}, "views": {view: run["views"][view] for view in both}}
        for run in (first, second)
    )
    return differing_fields(one, other, RUNS)


def describe(proof: Mapping[str, Any]) -> list[str]:
    """The proof as lines to print."""
    rows = [
        (
            "pairs",
            f"{proof['pairs']}  ({proof['used']} used, {len(proof['dropped'])} too long, {proof['unreadable']} bad rows)",
        ),
        ("order", "  ".join(proof["order"])),
        *(
            (
                f"view {view}",
                f"{entry.get('hash')}  (version {entry.get('version')}) {entry.get('regions', '')}".rstrip(),
            )
            for view, entry in proof["views"].items()
        ),
        ("model", proof["model"]),
        ("reference", proof["reference"]),
        *((("questions", proof["questions"]),) if "questions" in proof else ()),
        ("seed", str(proof["seed"])),
    ]
    return [f"{name:<22}{value}" for name, value in rows]
