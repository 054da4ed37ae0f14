"""Runs of MMHal-Bench on 24 real answers and verdicts, some of which are made unreadable."""

import json
from pathlib import Path

from paths import ROOT
from stored import score

from halbench.data.datasets import Data

EXCERPTS = ROOT / "tests/data/parity"
ANSWERS, JUDGED = EXCERPTS / "responses/mmhal.json", EXCERPTS / "responses/mmhal_judge.json"


def judged_run(folder: Path, unreadable: int) -> Path:
    """A scored run in which the first verdicts, `unreadable` of 24, have no rating."""
    replies = json.loads(JUDGED.read_text())
    for reply in replies[:unreadable]:
        reply["choices"][0]["message"]["content"] = "I cannot say."
    folder.parent.mkdir(parents=True, exist_ok=True)
    judgements = folder.parent / f"{folder.name}_judge.json"
    judgements.write_text(json.dumps(replies))
    score("mmhal", ANSWERS, Data(EXCERPTS), judgements=judgements, out=folder)
    return folder
