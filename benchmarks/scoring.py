"""Seconds and memory of `halbench score` and `--help` as whole processes, interleaved, against their limits.

    HALBENCH_DATA=... python benchmarks/scoring.py --rounds 5 --out benchmarks/results/scoring.json

Each command runs once per round, so that a busy moment of the machine affects all of them; medians and minima are kept.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def commands(data: Path) -> dict[str, tuple[list[str], float, float]]:
    """name -> (arguments, allowed seconds, allowed MB)."""
    responses = data / "responses"
    return {
        "help": (["--help"], 0.3, 200),
        "amber, 15,220 responses": (["score", "--suite", "amber", "--responses", str(responses / "amber/all_model_c.json")], 15, 1000),
        "amber, 1,004 descriptions": (["score", "--suite", "amber", "--responses", str(responses / "amber/llava15_7b__amber_g.json")], 6, 1000),
        "chair, 500 captions": (["score", "--suite", "chair", "--responses", str(responses / "chair/llava-1.5_greedy.jsonl")], 4, 1000),
    }  # fmt: skip


def measure(arguments: list[str]) -> tuple[float, float]:
    """(seconds, peak MB) of one process. The peak is that of the child alone: wait4 gives its own usage."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "halbench", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"halbench {' '.join(arguments)} failed with status {status}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return seconds, usage.ru_maxrss / unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    timed: dict[str, list[tuple[float, float]]] = {}
    limits = commands(Path(os.environ["HALBENCH_DATA"]))
    for _ in range(options.rounds):
        for name, (arguments, _, _) in limits.items():
            timed.setdefault(name, []).append(measure(arguments))
    rows = {}
    for name, runs in timed.items():
        seconds = [run[0] for run in runs]
        rows[name] = {
            "median_s": round(statistics.median(seconds), 2),
            "least_s": round(min(seconds), 2),
            "peak_mb": round(max(run[1] for run in runs)),
            "allowed_s": limits[name][1],
            "allowed_mb": limits[name][2],
        }
        print(name, rows[name])
    load = os.getloadavg()[0]
    record = {
        "rounds": options.rounds,
        "cores": os.cpu_count(),
        "load": round(load, 1),
        "python": sys.version.split()[0],
        "commands": rows,
    }
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
