"""SIGKILL at random moments of every long command: the same command goes on, no row that was written is lost, and the final
files are those of an undisturbed run, byte for byte."""

import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import small_ablation
import small_reports
from judge_server import Answer, JudgeServer, reply

from baselines.experiments import commands
from halbench.files.writing import is_partial
from tests.faults.forked import TRACE, ForkedStep, command, fork, kill, wait, warm_up
from tests.faults.fuzz_responses import ANSWERS, EXCERPTS
from tests.faults.limits import time_is_up
from tests.faults.table import Row

LIMIT_S = 300
IN_A_ROW = 8


@dataclass
class Work:
    """A command that is killed. arguments(out): after "halbench"; result(out): what must equal that of the undisturbed run;
    rows: files in `out` that only grow. whole: a kill leaves each file as the undisturbed run writes it, or none."""

    name: str
    kills: int
    arguments: Callable[[Path], list[object]]
    result: Callable[[Path], Any]
    rows: tuple[str, ...] = ()
    whole: bool = False


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_result(out: Path) -> Any:
    """Scores and results byte for byte; the responses, whose order may differ; the status."""
    responses = sorted(complete_lines(out / "responses.jsonl"))
    manifest = json.loads((out / "manifest.json").read_text())
    kept = {name: manifest[name] for name in ("status", "signature", "settings", "coverage")}
    return digest(out / "scores.jsonl"), digest(out / "results.json"), responses, kept


def judged_result(out: Path) -> Any:
    """The same, and the last verdict on each item."""
    rows = [json.loads(line) for line in complete_lines(out / "judgements.jsonl")]
    return run_result(out), sorted({row["item"]: json.dumps(row, sort_keys=True) for row in rows}.values())


def training_result(out: Path) -> Any:
    """The adapter byte for byte; the steps of the log, each once."""
    record = json.loads((out / "training.json").read_text())
    steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    return digest(out / "adapter_model.safetensors"), steps, record["status"], record["identity"]


def ablation_result(out: Path) -> Any:
    """Every adapter and result byte for byte, and the state of the cells."""
    record = json.loads((out / "ablation.json").read_text())
    files = sorted([*out.rglob("adapter_model.safetensors"), *out.rglob("results.json")])
    states = {name: cell["status"] for name, cell in record["cells"].items()}
    return [(str(path.relative_to(out)), digest(path)) for path in files], states, record["status"]


def works(root: Path, url: str) -> dict[str, Work]:
    stored, replies = root / "stored.jsonl", ["--data", EXCERPTS]
    texts = [{"item": f"{n}/description", "text": f"A cup and {n} forks on a table."} for n in range(40)]
    stored.write_text("".join(json.dumps(row) + "\n" for row in texts))
    runs = [small_reports.run(root / "runs" / name, faulty, scenes=4) for name, faulty in (("a", 1), ("b", 3))]
    experiment = small_ablation.write_experiment(root)
    data = ["--data", root / "data"]
    judge = ["--judge", "m", "--judge-base-url", url]
    recipe = ["--max-steps", 6, "--save-steps", 2, "--batch-size", 4, "--lora-r", 4, "--lora-alpha", 8]
    train = ["train", "--objective", "dpo", "--model", "scenes:base", "--data", root / "pairs", *recipe]
    run = ["run", "--model", "scenes:base", "--suite", "scenes", "--set", "scenes=6", *data]
    return {
        "kills of run": Work("run", 60, lambda out: [*run, "--out", out], run_result, ("responses.jsonl",)),
        "kills of score": Work(
            "score", 110, lambda out: ["score", "--suite", "scenes", "--set", "scenes=40", "--responses", stored, *data, "--out", out],
            run_result,
        ),
        "kills of judging": Work(
            "score --judge", 60,
            lambda out: ["score", "--suite", "mmhal", "--responses", ANSWERS / "mmhal.json", *replies, *judge, "--out", out],
            judged_result, ("judgements.jsonl",),
        ),
        "kills of train": Work(
            "train", 25, lambda out: [*train, "--cache", out.parent / f"cache {out.name}", "--out", out], training_result
        ),
        "kills of ablate": Work(
            "ablate", 8,
            lambda out: ["ablate", experiment, "--out", out, "--cache", out.parent / f"cache {out.name}"], ablation_result,
        ),
        "kills of report": Work(
            "report", 40, lambda out: ["report", "all", *runs, "--out", out, "--resamples", 100],
            lambda out: sorted((path.name, digest(path)) for path in out.glob("*.*") if not is_partial(path)), whole=True,
        ),
    }  # fmt: skip


@contextmanager
def judging(root: Path) -> Iterator[str]:
    """A judge in a process of its own, so that this one has no threads when it forks."""
    address = root / "url"

    def serve() -> None:
        with JudgeServer(answer) as server:
            address.write_text(server.url)
            time.sleep(3600)

    pid = fork(serve, root / "judge.log")
    try:
        while not (address.is_file() and address.read_text()):
            time.sleep(0.01)
        yield address.read_text()
    finally:
        kill(pid)


def answer(prompt: str, times: int) -> Answer:
    """A rating that follows from the prompt, after a moment."""
    return reply(f"Rating: {len(prompt) % 7}", wait_s=0.02)


def campaign(seed: int, share: float = 1.0, work: Path | None = None, name: str = "kills of run") -> list[Row]:
    """share: of the kills."""
    root = Path(tempfile.mkdtemp(prefix="faults")) if work is None else work
    commands.subprocess = SimpleNamespace(**vars(subprocess) | {"Popen": ForkedStep})  # type: ignore[attr-defined]
    with judging(root) as url:
        one = works(root, url)[name]
        if name == "kills of train":
            pairs = ["scenes", "pairs", "--out", root / "pairs", "--model", "scenes:base", "--pairs", 8, "--samples", 4]
            warm_up(command(pairs), root)
        warm_up(command(one.arguments(root / "warm")), root)
        row = Row(f"a killed `{one.name}` loses nothing, and ends as an undisturbed one", "SIGKILL at a random moment")
        killing(Random(seed), one, root, row, int(one.kills * share))
    if work is None:
        shutil.rmtree(root)
    return [row]


def killing(random: Random, work: Work, root: Path, row: Row, kills: int) -> None:
    """Kill a command until it was killed so often, and let it end at least every IN_A_ROW kills."""
    reference, log = root / "reference", root / "reference.log"
    started = time.monotonic()
    assert wait(fork(command(work.arguments(reference)), log), LIMIT_S) == 0, log.read_text()[-2000:]
    took, expected = time.monotonic() - started, work.result(reference)
    cycle = 0
    while row.count < kills and not time_is_up():
        cycle += 1
        out, log = root / f"out{cycle}", root / f"out{cycle}.log"
        for _ in range(min(IN_A_ROW, kills - row.count)):
            code = killed_once(random, work, out, log, took, row)
            if work.whole and not set(work.result(out)) <= set(expected):
                row.broke("lost", f"half a file in {out.name}")
            if code is not None:
                break
        else:
            pid = fork(command(work.arguments(out)), log)
            code = wait(pid, LIMIT_S)
        if code is None:
            kill(pid)
            row.broke("hangs", f"{out.name} did not end")
            continue
        output = log.read_bytes()
        if code != 0:
            row.broke("unclear", f"exit code {code}: {output[-600:].decode(errors='replace')}")
        elif (found := work.result(out)) != expected:
            row.broke("silent", f"{out.name}: {first_difference(expected, found)}")
        else:
            row.note("ends as undisturbed")
        if TRACE in output:
            row.broke("traces", output[-600:].decode(errors="replace"))
        if left := [path.name for path in out.rglob("*.partial")]:
            row.broke("lost", f"left behind: {left}")
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(out.parent / f"cache {out.name}", ignore_errors=True)
    row.notes = {"restarts that ended as an undisturbed run": row.notes.get("ends as undisturbed", 0)}


def killed_once(random: Random, work: Work, out: Path, log: Path, took: float, row: Row) -> int | None:
    """Start the command and kill it; sometimes the file then ends in half a row, as after a power cut. Its exit code, if it
    was faster than the kill."""
    before = {name: complete_lines(out / name) for name in work.rows}
    pid = fork(command(work.arguments(out)), log)
    if (code := wait(pid, took * random.random() * random.random())) is not None:
        return code
    kill(pid)
    row.count += 1
    for name, lines in before.items():
        if complete_lines(out / name)[: len(lines)] != lines:
            row.broke("lost", f"{name} lost rows")
        if (out / name).is_file() and random.random() < 0.3:
            with (out / name).open("ab") as file:
                file.write(b'{"item": "0/descr')
    return None


def complete_lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.is_file() else []


def first_difference(one: Any, two: Any) -> str:
    if isinstance(one, tuple) and isinstance(two, tuple):
        return next(first_difference(a, b) for a, b in zip(one, two, strict=True) if a != b)
    return f"{one!r:.300} != {two!r:.300}"


CAMPAIGNS = {
    name: partial(campaign, name=name)
    for name in (
        "kills of run",
        "kills of score",
        "kills of judging",
        "kills of train",
        "kills of ablate",
        "kills of report",
    )
}
