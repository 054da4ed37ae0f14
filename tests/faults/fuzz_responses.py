"""Damaged files of responses and of a judge's replies, each scored and compared with what a strict reader sees.

An input ends well if it is refused in one line, told to be incomplete, gives the same numbers, or gives other numbers that
the content explains: every answer that was scored stands in its row of the file, for the item that the row names, and no
row is missing. Anything else is silent damage.
"""

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from paths import ROOT
from recorded_language import RecordedLanguage

from halbench.evaluation import score, scoring, suites
from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.evaluate import Evaluation
from halbench.judging.options import Judging
from halbench.suites import amber, chair, object_halbench
from tests.faults import strict
from tests.faults.limits import guarded, time_is_up
from tests.faults.mutations import as_bytes, changed_rows, damaged
from tests.faults.table import Row

EXCERPTS = ROOT / "tests/data/parity"
ANSWERS = EXCERPTS / "responses"
N_INPUTS = 80_000
SMALL = 10
"""Rows of a file, where the suite's items are cut to as many."""


@dataclass
class Base:
    """A file that is right. text: the field of its answers. judged: a file of replies with it, which is damaged instead if
    `judge_damaged`."""

    suite: str
    settings: tuple[str, ...]
    rows: list[Any]
    text: str
    suffix: str
    judged: bytes = b""
    judge_suffix: str = ".json"
    judge_damaged: bool = False
    values: dict[Any, Any] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.suite} {self.suffix}{' replies ' + self.judge_suffix if self.judge_damaged else ''}"


def bases() -> list[Base]:
    def rows(name: str) -> list[Any]:
        return strict.rows((ANSWERS / name).read_bytes(), Path(name).suffix)

    replies = (ANSWERS / "mmhal_judge.json").read_bytes()
    items = [str(row["image_id"]) for row in rows("mmhal.json")]
    judgements = "".join(
        json.dumps({"item": item, "key": "k", "requested_model": "m", "served_model": "m", "state": "ok",
                    "reply": reply["choices"][0]["message"]["content"]}) + "\n"
        for item, reply in zip(items, json.loads(replies), strict=True)
    ).encode()  # fmt: skip
    scenes = [{"item": f"{n}/description", "text": "A cup and a fork on a table.", "state": "ok"} for n in range(8)]
    made = [
        Base("chair", (), rows("chair.jsonl")[:SMALL], "caption", suffix)
        for suffix in (".jsonl", ".json", ".csv", ".tsv")
    ]
    made += [Base("amber", (), rows("amber.json"), "response", suffix) for suffix in (".json", ".csv")]
    made += [Base("pope", ("split=adversarial",), rows("pope.jsonl")[:SMALL], "text", s) for s in (".jsonl", ".tsv")]
    made += [
        Base("object_halbench", (f"extraction={how}",), rows("object_halbench.jsonl"), "answer", ".jsonl")
        for how in ("words", "stored")
    ]
    made += [Base("scenes", ("scenes=8",), scenes, "text", suffix) for suffix in (".jsonl", ".csv")]
    for kind, content in ((".json", replies), (".jsonl", judgements)):
        for damaged_one in (False, True):
            made.append(
                Base("mmhal", (), rows("mmhal.json"), "model_answer", ".json", content, kind, judge_damaged=damaged_one)
            )
    return made


def written(rows: list[Any], suffix: str) -> bytes:
    """Rows in one of the formats."""
    if suffix == ".jsonl":
        return b"".join(as_bytes(row) + b"\n" for row in rows)
    if suffix == ".json":
        return as_bytes(rows)
    named = [row for row in rows if isinstance(row, dict)]
    file = io.StringIO()
    columns = list(dict.fromkeys(name for row in named for name in row)) or ["x"]
    table = csv.DictWriter(file, columns, delimiter="," if suffix == ".csv" else "\t")
    table.writeheader()
    table.writerows(named)
    return file.getvalue().encode("utf-8", "surrogatepass")


@contextmanager
def quick_scoring() -> Iterator[None]:
    """The shipped excerpts of the suites' data, read once; recorded tokens; no intervals and no test of the suites."""
    language = RecordedLanguage(EXCERPTS / "language.json")
    sample = {
        str(row["image_id"]): Path() for row in strict.rows((ANSWERS / "chair.jsonl").read_bytes(), ".jsonl")[:SMALL]
    }
    truth = lru_cache(None)(chair.read_coco_truth)
    with ExitStack() as patches:
        for owner, name, value in (
            (scoring, "interval", lambda *_: None),
            (suites, "check_empty_answers", lambda *_: None),
            (score, "load_suite", lru_cache(None)(suites.load_suite)),
            (chair, "default_sample", lambda _: sample),
            (chair, "read_coco_truth", truth),
            (object_halbench, "read_coco_truth", truth),
            *((suite, "open_language", lambda _: language) for suite in (amber, chair, object_halbench)),
        ):
            patches.enter_context(mock.patch.object(owner, name, value))
        yield


def small_data(folder: Path) -> Path:
    """The excerpts with fewer of POPE's questions."""
    shutil.copytree(EXCERPTS, folder / "data")
    questions = folder / "data/pope/coco_pope_adversarial.jsonl"
    questions.write_text("".join(questions.read_text().splitlines(keepends=True)[:SMALL]))
    return folder / "data"


def run(base: Base, file: Path, judged: Path | None) -> Evaluation:
    choice = SuiteChoice(file.parent / "data", None, base.suite, base.settings)
    return score.score_stored(choice, file, Judging(stored=judged))


def numbers(evaluation: Evaluation) -> dict[Any, Any]:
    return {(row.group, row.metric): (row.value, row.n) for row in evaluation.results}


def explained(base: Base, evaluation: Evaluation, file: bytes, judged: bytes) -> str:
    """Why other numbers follow from the content of the files; "" if they do not."""
    try:
        found = strict.rows(file, base.suffix)
        if judged and judged != base.judged:
            strict.rows(judged, base.judge_suffix)
    except (ValueError, RecursionError):
        return ""
    responses = evaluation.responses
    if len(found) != len(responses):
        return ""
    for row, response in zip(found, responses, strict=True):
        if response.text not in strict.texts(row):
            return ""
        if base.items.get(strict.others(row, base.text), response.item) != response.item:
            return ""
    same = judged == base.judged and found == base.rows
    return "" if same else "content changed"


def campaign(seed: int, share: float = 1.0, work: Path | None = None) -> list[Row]:
    """share: of the inputs."""
    folder = Path(tempfile.mkdtemp(prefix="faults")) if work is None else work
    small_data(folder)
    random = Random(seed)
    row = Row("a damaged file never changes a number silently", "response files and judges' replies: bytes and content")
    with quick_scoring():
        made = bases()
        for base in made:
            file, replies = folder / f"x{base.suffix}", folder / f"r{base.judge_suffix}"
            file.write_bytes(written(base.rows, base.suffix))
            replies.write_bytes(base.judged)
            base.rows = strict.rows(file.read_bytes(), base.suffix)  # a table has its cells as text
            right = run(base, file, replies if base.judged else None)
            assert right.coverage.complete, (base.name, right.coverage)
            assert not right.coverage.complaint(), (base.name, right.coverage)
            base.values = numbers(right)
            base.items = {
                strict.others(one, base.text): response.item
                for one, response in zip(base.rows, right.responses, strict=True)
            }
        for _ in range(int(N_INPUTS * share)):
            if time_is_up():
                break
            one_input(random, random.choice(made), folder, row)
    if work is None:
        shutil.rmtree(folder)
    return [row]


def one_input(random: Random, base: Base, folder: Path, row: Row) -> None:
    file, replies = written(base.rows, base.suffix), base.judged
    damage_bytes = random.random() < 0.5
    target, suffix = (replies, base.judge_suffix) if base.judge_damaged else (file, base.suffix)
    if damage_bytes:
        kind, target = damaged(random, target)
    else:
        rows = strict.rows(target, suffix)
        for _ in range(random.randrange(1, 3)):
            kind, rows = changed_rows(random, rows)
        target = written(rows, suffix)
    file, replies = (file, target) if base.judge_damaged else (target, replies)
    paths = folder / f"x{base.suffix}", folder / f"r{base.judge_suffix}"
    paths[0].write_bytes(file)
    paths[1].write_bytes(replies)
    row.count += 1
    what = f"{base.name}: {kind}"
    evaluation = guarded(row, what, lambda: run(base, paths[0], paths[1] if base.judged else None))
    if evaluation is None:
        keep(folder, row, target, suffix)
    else:
        judge(base, evaluation, file, replies, row, what)
        keep(folder, row, target, suffix)


def judge(base: Base, evaluation: Evaluation, file: bytes, replies: bytes, row: Row, what: str) -> None:
    if numbers(evaluation) == base.values:
        row.note("same numbers")
    elif evaluation.coverage.complaint() or evaluation.notes:
        row.note("incomplete, and said so")
    elif reason := explained(base, evaluation, file, replies):
        row.note(f"other numbers, {reason}")
    else:
        row.broke("silent", what)


kept = [0]


def keep(folder: Path, row: Row, content: bytes, suffix: str) -> None:
    """Keep the input of a promise that was just broken, where the campaign was given a folder."""
    broken = len(row.examples)
    if broken > kept[0]:
        kept[0] = broken
        (folder / f"broken{broken}{suffix}").write_bytes(content)


CAMPAIGNS = {"fuzz responses": campaign}
