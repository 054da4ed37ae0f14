"""`make faults`: every campaign, two at a time, each in a process of its own, and the table of docs/reliability.md.

    python -m tests.faults                          all, about 20 minutes on two free cores
    python -m tests.faults --only kills --seed 7    campaigns whose name contains "kills", with other random numbers
    python -m tests.faults --share 0.01             a hundredth of everything
    python -m tests.faults --table                  the table of what ran last, from out/faults

The exit code is 1 if a promise was broken.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).parents[1] / "support"
sys.path.insert(0, str(SUPPORT))
CAMPAIGNS = {
    "fuzz responses": ("fuzz_responses", "halbench/responses/test_response_files.py"),
    "fuzz folders": ("fuzz_folders", "halbench/folders/test_run_damaged.py"),
    "readers": ("readers", "halbench/files/test_tables.py"),
    "kills of run": ("kills", "halbench/cli/test_run.py"),
    "kills of train": ("kills", "halbench/cli/test_train.py"),
    "kills of ablate": ("kills", "halbench/cli/test_ablate.py"),
    "kills of score": ("kills", "halbench/folders/test_run.py"),
    "kills of judging": ("kills", "halbench/judging/test_judge_limits.py"),
    "kills of report": ("kills", "halbench/files/test_writing.py"),
    "full disk": ("disk", "halbench/files/test_writing.py"),
    "read-only": ("disk", "halbench/folders/test_lock.py"),
    "two processes": ("disk", "halbench/folders/test_lock.py"),
    "judges": ("judges", "halbench/judging/test_judge.py"),
}
"""Campaign -> its module, and the file of the tests of `make test` for the same promise."""
LIMIT_S = 3000
OUT = Path("out/faults")


def one(name: str, seed: int, share: float) -> None:
    """Run a campaign in this process and write its rows."""
    module = importlib.import_module(f"tests.faults.{CAMPAIGNS[name][0]}")
    started = time.monotonic()
    rows = module.CAMPAIGNS[name](seed, share)
    used = os.times()
    for row in rows:
        row.campaign, row.tests = name, f"tests/{CAMPAIGNS[name][1]}"
        row.seconds = (time.monotonic() - started) / len(rows)
        row.cpu = (used.user + used.system + used.children_user + used.children_system) / len(rows)
    file_of(name).write_text(json.dumps([row.as_json() for row in rows], indent=1))


def file_of(name: str) -> Path:
    return OUT / f"{name.replace(' ', '_')}.json"


def run_all(names: list[str], arguments: argparse.Namespace) -> list[str]:
    """Run campaigns, so many at a time; the names of those that failed themselves."""
    waiting, running, failed = list(names), {}, []
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "FAULTS_SECONDS": str(60 * arguments.minutes),
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(SUPPORT)]),
    }
    while waiting or running:
        while waiting and len(running) < arguments.processes:
            name = waiting.pop(0)
            file_of(name).unlink(missing_ok=True)
            log = file_of(name).with_suffix(".log").open("wb")
            command = [sys.executable, "-m", "tests.faults", "--one", name, "--seed", str(arguments.seed)]
            process = subprocess.Popen(
                [*command, "--share", str(arguments.share)], stdout=log, stderr=subprocess.STDOUT, env=environment
            )
            running[name] = process, time.monotonic()
        time.sleep(0.2)
        for name, (process, began) in list(running.items()):
            if process.poll() is None and time.monotonic() - began > LIMIT_S:
                process.kill()
            if process.poll() is not None:
                del running[name]
                print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
                if process.returncode:
                    failed.append(name)
    return failed


def table(names: list[str]) -> bool:
    """Print the table of these campaigns, and what was broken. Whether every promise was kept."""
    from tests.faults.table import markdown, row_of

    values: list[dict[str, Any]] = []
    for name in names:
        if file_of(name).is_file():
            values += json.loads(file_of(name).read_text())
    rows = [row_of(value) for value in values]
    print(markdown(rows))
    print(f"\n{sum(row.count for row in rows):,} faults, {sum(row.cpu for row in rows):.0f} s of CPU time.")
    for row in rows:
        for example in row.examples:
            print(f"{row.campaign}: {example}", file=sys.stderr)
    return all(row.kept for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of the campaigns' names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="share of the faults")
    parser.add_argument(
        "--minutes", type=float, default=18, help="of a campaign, at most; the table says how far it came"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    if arguments.one:
        one(arguments.one, arguments.seed, arguments.share)
        return 0
    names = [name for name in CAMPAIGNS if arguments.only in name]
    started = time.monotonic()
    failed = [] if arguments.table else run_all(names, arguments)
    kept = table(names)
    print(f"{time.monotonic() - started:.0f} s.", *(f"The campaign '{name}' failed: see {OUT}." for name in failed))
    return 0 if kept and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
