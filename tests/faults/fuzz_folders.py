"""Damaged run folders and margins: each is loaded, compared, gated, scored again or shown, and the outcome is compared with
what a strict reader sees in the damaged file.

An input ends well if it is refused in one line, told to be incomplete, gives the same outcome, or another one that the
content of the file explains and no checksum should have stopped. Anything else is silent damage.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import small_reports
from stored import score

import halbench
from halbench.data.datasets import open_data
from halbench.evaluation.evaluate import Evaluation
from halbench.statistics.resampling import Resampling
from tests.faults import strict
from tests.faults.fuzz_responses import ANSWERS, EXCERPTS, quick_scoring
from tests.faults.limits import guarded, time_is_up
from tests.faults.mutations import as_bytes, changed_rows, changed_value, damaged
from tests.faults.table import Row

N_INPUTS = 20_000
FEW = Resampling(n_resamples=100)
MARGINS = "scenes:\n  chair: 0.02\n  descriptions/hal: 0.05\n  cog: 0.01 # one point\n"
ODD_MARGINS = (
    "scenes: {chair: .inf}", "scenes: {chair: 1}", "a: &a [*a]", "scenes: {chair: 0.01, chair: 0.9}", "scenes: {chair: yes}",
    "scenes: {chair: '0.01'}", "- 1", "scenes: {}", "? [a]: 1", "scenes: {1: 0.1}", "scenes: {chair: -0.0}", "scenes: [",
    "scenes: {chair: 1e-400}", "scenes: {chair: 0x10}", "scenes: 2020-01-01", "scenes: {chair: 1_0}", "\x00", "---\n---\n",
    "!!python/object/apply:os.abort []", "scenes: {chair: 1:30}", "scenes: &m {chair: 0.1}\nother:\n  <<: *m", "scenes:\n\tchair: 1",
    "b: &b ['l','l']\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]",
)  # fmt: skip
FILES = {
    "load": ("manifest.json", "results.json", "scores.jsonl", "responses.jsonl"),
    "compare": ("manifest.json", "scores.jsonl"),
    "gate": ("manifest.json", "scores.jsonl", "margins.yaml", "margins.yaml"),
    "score": ("manifest.json", "responses.jsonl"),
    "score judged": ("manifest.json", "responses.jsonl", "judgements.jsonl"),
    "leaderboard": ("manifest.json", "results.json"),
}


def scored_again(folder: Path, data: Path) -> Any:
    """The numbers, or that something is missing. A number of responses that is not that of the file is an error."""
    evaluation: Evaluation = score(None, folder, open_data(data))
    if evaluation.coverage.complaint() or evaluation.notes:
        return "told"
    return [(row.group, row.metric, row.value, row.n) for row in evaluation.results], len(evaluation.responses)


def shown(folder: Path, out: Path) -> Any:
    """A leaderboard's table."""
    report = halbench.report([folder], "leaderboard", out=out)
    return "told" if report.notes else sorted((path.name, path.read_text()) for path in out.glob("*.csv"))


def actions(root: Path) -> dict[str, Callable[[], Any]]:
    run, other, judged = root / "run", root / "b", root / "judged run"
    return {
        "load": lambda: halbench.load(run).frame().to_dict("list").__repr__(),
        "compare": lambda: halbench.compare(run, other, FEW).frame().to_dict("list").__repr__(),
        "gate": lambda: (
            halbench.gate(run, other, root / "margins.yaml", resampling=FEW).frame().to_dict("list").__repr__()
        ),
        "score": lambda: scored_again(run, root / "data"),
        "score judged": lambda: scored_again(judged, EXCERPTS),
        "leaderboard": lambda: shown(run, root / "out"),
    }


def made(root: Path) -> None:
    """Two runs of scenes, and a judged run of MMHal-Bench's excerpt; "old" has no checksums, as of earlier versions."""
    small_reports.run(root / "a", 1, scenes=2)
    small_reports.run(root / "b", 0, scenes=2)
    answers, replies = ANSWERS / "mmhal.json", ANSWERS / "mmhal_judge.json"
    score("mmhal", answers, open_data(EXCERPTS), judgements=replies, out=root / "judged")
    (root / "margins.yaml").write_text(MARGINS)
    fresh(root)


def fresh(root: Path) -> None:
    for name, copied in (("a", "run"), ("judged", "judged run")):
        shutil.rmtree(root / copied, ignore_errors=True)
        shutil.copytree(root / name, root / copied)
    (root / "margins.yaml").write_text(MARGINS)


def content_of(content: bytes, name: str) -> Any:
    """The content of a file as a strict reader sees it."""
    if name.endswith(".yaml"):
        return strict.margins(content.decode())
    return strict.json_value(content.decode()) if name.endswith(".json") else strict.rows(content, ".jsonl")


def explained(action: str, name: str, before: bytes, after: bytes, outcome: Any, has_checksums: bool) -> bool:
    """Whether another outcome follows from the content of the file."""
    try:
        contents = content_of(before, name), content_of(after, name)
    except (ValueError, RecursionError):
        return False
    if name == "responses.jsonl" and action.startswith("score"):
        return contents[0] != contents[1] and outcome[1] == len(contents[1])
    guarded_file = name in ("scores.jsonl", "results.json", "responses.jsonl") and has_checksums
    return contents[0] != contents[1] and not guarded_file


def campaign(seed: int, share: float = 1.0, work: Path | None = None) -> list[Row]:
    """share: of the inputs."""
    root = Path(tempfile.mkdtemp(prefix="faults")) if work is None else work
    random = Random(seed)
    row = Row(
        "a damaged run folder never changes a result silently",
        "manifests, results, scores, responses, judgements, margins",
    )
    with quick_scoring():
        made(root)
        calls = actions(root)
        right = {name: call() for name, call in calls.items()}
        for _ in range(int(N_INPUTS * share)):
            if time_is_up():
                break
            one_input(random, root, calls, right, row)
    if work is None:
        shutil.rmtree(root)
    return [row]


def one_input(random: Random, root: Path, calls: dict[str, Any], right: dict[str, Any], row: Row) -> None:
    action = random.choice(list(FILES))
    name = random.choice(FILES[action])
    folder = root / ("judged run" if action == "score judged" else "run")
    path = root / name if name == "margins.yaml" else folder / name
    before, manifest = path.read_bytes(), (folder / "manifest.json").read_bytes()
    has_checksums = name == "manifest.json" or random.random() < 0.5
    if not has_checksums:
        fields = json.loads(manifest)
        del fields["files"]
        (folder / "manifest.json").write_text(json.dumps(fields))
    kind, after = damage(random, name, before)
    path.write_bytes(after)
    row.count += 1
    what = f"{action}: {name}{'' if has_checksums else ' without checksums'}: {kind}"
    outcome = guarded(row, what, calls[action])
    if outcome is not None:
        if outcome == right[action]:
            row.note("same numbers")
        elif outcome == "told":
            row.note("incomplete, and said so")
        elif explained(action, name, before, after, outcome, has_checksums):
            row.note("other numbers, content changed")
        else:
            row.broke("silent", what)
            (root / f"silent{row.silent}-{action}-{name}").write_bytes(after)
    path.write_bytes(before)
    (folder / "manifest.json").write_bytes(manifest)


def damage(random: Random, name: str, before: bytes) -> tuple[str, bytes]:
    """What was done to a file, and its bytes after it."""
    if name.endswith(".yaml") and random.random() < 0.2:
        return "odd margins", random.choice(ODD_MARGINS).encode()
    if name.endswith(".yaml") or random.random() < 0.5:
        return damaged(random, before)
    if name.endswith(".json"):
        return "value", as_bytes(changed_value(random, json.loads(before)))
    rows = [json.loads(line) for line in before.splitlines()]
    if random.random() < 0.5:
        place = random.randrange(len(rows))
        rows[place] = changed_value(random, rows[place])
        return "value in a row", b"".join(as_bytes(one) + b"\n" for one in rows)
    kind, rows = changed_rows(random, rows)
    return kind, b"".join(as_bytes(one) + b"\n" for one in rows)


CAMPAIGNS = {"fuzz folders": campaign}
