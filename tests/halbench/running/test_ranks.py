"""Several processes on one run: shares by image, rows merged once, and the same results as one process."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from halbench.files.records import write_jsonl
from halbench.folders.run import RunFolder
from halbench.running.ranks import Ranks, merge_rank_files, shard
from halbench.types import Item, Response

ITEMS = [Item(f"{image}/{n}", (Path(f"{image}.png"),), "?", None, "all") for n in range(3) for image in range(5)]
MIXED = [*ITEMS, *(Item(f"two/{n}", (Path("0.png"), Path("1.png")), "?", None, "all") for n in range(3))]


def rows(path: Path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def whole_rows(path: Path):
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_shares_split_the_items_and_no_set_of_images(world):
    shares = [shard(MIXED, Ranks(rank, world)) for rank in range(world)]
    assert sorted(item.id for part in shares for item in part) == sorted(item.id for item in MIXED)
    sets = [{item.images for item in part} for part in shares]
    assert sum(map(len, sets)) == 6


def test_questions_without_an_image_are_spread_over_the_ranks():
    items = [Item(str(n), (), "?", None, "all") for n in range(10)]
    assert [len(shard(items, Ranks(rank, 2))) for rank in range(2)] == [5, 5]


def test_interrupted_gathering_ends_with_each_row_once(tmp_path):
    folder = RunFolder(tmp_path)
    write_jsonl(folder.responses_path, [Response("a", "one")])
    write_jsonl(tmp_path / "responses.rank-0.jsonl", [Response("a", "one"), Response("b", "two")])
    write_jsonl(tmp_path / "responses.rank-1.jsonl", [Response("c", "three")])
    (tmp_path / "responses.rank-1.jsonl").open("a").write('{"item": "d", "te')
    merge_rank_files(folder)
    merge_rank_files(folder)
    assert [row["item"] for row in rows(folder.responses_path)] == ["a", "b", "c"]
    assert not list(tmp_path.glob("responses.rank-*"))


def arguments(data: Path, scenes: int) -> list[str]:
    command = ["-m", "halbench", "run", "--model", "scenes:base", "--suite", "scenes", "--set", f"scenes={scenes}"]
    return [*command, "--data", str(data), "--batch-size", "8", "--device", "cpu", "--out"]


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]


@pytest.mark.slow
def test_two_ranks_give_what_one_process_gives_and_a_killed_pair_resumes(tmp_path):
    command = arguments(tmp_path / "data", 24)
    one = subprocess.run([sys.executable, *command, tmp_path / "one"], capture_output=True, text=True)
    assert one.returncode == 0, one.stderr
    two = subprocess.run([*TORCHRUN, *command, tmp_path / "two"], capture_output=True, text=True)
    assert two.returncode == 0, two.stderr
    assert two.stdout == one.stdout
    ranks = [int(row["item"].split("/")[0]) % 2 for row in rows(tmp_path / "two/responses.jsonl")]
    assert ranks == sorted(ranks), "each rank's rows stand together: there were not two of them"
    assert set(ranks) == {0, 1}
    answers = [{row["item"]: row["text"] for row in rows(tmp_path / run / "responses.jsonl")} for run in ("one", "two")]
    assert answers[0] == answers[1]
    assert (tmp_path / "two/results.json").read_text() == (tmp_path / "one/results.json").read_text()

    # What a killed pair of ranks leaves: some rows merged, some in rank files, one torn.
    whole = (tmp_path / "two/responses.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "two/responses.jsonl").write_text("".join(whole[:20]))
    (tmp_path / "two/responses.rank-1.jsonl").write_text("".join(whole[20:30]) + whole[30][:15])
    again = subprocess.run([*TORCHRUN, *command, tmp_path / "two"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "two/responses.jsonl").read_text().startswith("".join(whole[:30]))
    assert len(rows(tmp_path / "two/responses.jsonl")) == len(whole)
    assert again.stdout == one.stdout


@pytest.mark.slow
def test_a_rank_that_is_killed_loses_only_what_was_in_flight(tmp_path):
    command = arguments(tmp_path / "data", 60)
    one = subprocess.run([sys.executable, *command, tmp_path / "one"], capture_output=True, text=True)
    process = subprocess.Popen([*TORCHRUN, *command, tmp_path / "two"], stderr=subprocess.PIPE, text=True)
    part, deadline = tmp_path / "two" / "responses.rank-1.jsonl", time.monotonic() + 120
    while not (part.is_file() and part.read_bytes().count(b"\n") >= 8) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.002)
    ranks = {child.environ().get("RANK"): child for child in psutil.Process(process.pid).children()}
    assert set(ranks) == {"0", "1"}
    ranks["1"].kill()
    assert process.wait(60) != 0
    kept = {row["item"]: row for path in (tmp_path / "two").glob("responses*.jsonl") for row in whole_rows(path)}
    assert 8 <= len(kept) < len(rows(tmp_path / "one/responses.jsonl")), "killed too late to tell"
    again = subprocess.run([*TORCHRUN, *command, tmp_path / "two"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    merged = {row["item"]: row for row in rows(tmp_path / "two/responses.jsonl")}
    assert kept.items() <= merged.items()
    assert merged == {row["item"]: row for row in rows(tmp_path / "one/responses.jsonl")}
    assert again.stdout == one.stdout
    assert (tmp_path / "two/results.json").read_text() == (tmp_path / "one/results.json").read_text()
