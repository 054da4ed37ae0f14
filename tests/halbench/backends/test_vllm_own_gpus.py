"""Engines under torchrun, each on GPUs of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from halbench.errors import InputError

own_gpus = pytest.importorskip("halbench.backends._own_gpus").own_gpus
tiny_checkpoints = pytest.importorskip("tiny_checkpoints")
vllm_stand_in = pytest.importorskip("vllm_stand_in")

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
SUPPORT = Path(vllm_stand_in.__file__).parent


def torchrun(monkeypatch, rank, ranks, gpus):
    values = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "host"}
    for name, value in {**values, "TORCHELASTIC_USE_AGENT_STORE": True, "CUDA_VISIBLE_DEVICES": gpus}.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize(
    ("rank", "count", "gpus", "own"),
    [(0, 1, "0,1", "0"), (1, 1, "0,1", "1"), (1, 2, "4,5,6,7,8", "6,7"), (0, 1, "GPU-a1,GPU-b2", "GPU-a1")],
)
def test_each_rank_has_the_next_gpus_of_those_that_are_visible(monkeypatch, rank, count, gpus, own):
    torchrun(monkeypatch, rank, 2, gpus)
    with own_gpus(count):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == own


def test_the_engine_sees_nothing_of_torchrun_and_starts_a_process_that_inherits_nothing(monkeypatch):
    torchrun(monkeypatch, 1, 2, "0,1")
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    before = dict(os.environ)
    with own_gpus(1):
        assert (
            not {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "TORCHELASTIC_USE_AGENT_STORE"} & os.environ.keys()
        )
        assert os.environ["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"
        assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "1"
    assert dict(os.environ) == before


def test_an_engine_that_does_not_start_leaves_the_environment_as_it_was(monkeypatch):
    torchrun(monkeypatch, 0, 2, "0,1")
    before = dict(os.environ)
    with pytest.raises(RuntimeError), own_gpus(1):
        raise RuntimeError
    assert dict(os.environ) == before


def test_without_torchrun_nothing_changes(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    before = dict(os.environ)
    with own_gpus(4):
        assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("ranks", "count", "gpus", "line"),
    [
        (4, 1, "0,1", "4 processes on this machine with 1 GPU each need 4 GPUs, but 2 are visible"),
        (2, 4, "0,1,2,3", "2 processes on this machine with 4 GPUs each need 8 GPUs, but 4 are visible"),
        (2, 1, "3", "need 2 GPUs, but 1 is visible; lower --nproc-per-node or tensor_parallel_size"),
        (2, 1, "", "need 2 GPUs, but 0 are visible"),
    ],
)
def test_too_few_gpus_are_refused_with_the_numbers(monkeypatch, ranks, count, gpus, line):
    torchrun(monkeypatch, 0, ranks, gpus)
    with pytest.raises(InputError, match=line), own_gpus(count):
        pass


ENGINES = '''
import json, multiprocessing, os, socket, sys
import torch.distributed as distributed
from halbench.backends._own_gpus import own_gpus
from halbench.running.ranks import init_ranks

def engine(port, answers):
    """What an engine's worker does at its start."""
    inherited = distributed.is_initialized()
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    answers.put([inherited, distributed.get_world_size(), os.environ["CUDA_VISIBLE_DEVICES"]])

if __name__ == "__main__":
    ranks = init_ranks()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with own_gpus(2):
        context = multiprocessing.get_context(os.environ["VLLM_WORKER_MULTIPROC_METHOD"])
        answers = context.SimpleQueue()
        process = context.Process(target=engine, args=(port, answers))
        process.start()
        found = answers.get()
    process.join()
    distributed.barrier()
    with open(f"{sys.argv[1]}/{ranks.rank}.json", "w") as file:
        json.dump(found, file)
'''


@pytest.mark.slow
def test_an_engine_s_own_group_of_processes_is_not_that_of_the_ranks(tmp_path):
    (tmp_path / "engines.py").write_text(ENGINES)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1,2,3"}
    command = [*TORCHRUN, str(tmp_path / "engines.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert found == [[False, 1, "0,1"], [False, 1, "2,3"]]


@pytest.mark.slow
def test_two_engines_give_what_one_gives(tmp_path):
    vllm_stand_in.write_package(tmp_path / "packages")
    tiny_checkpoints.llava(tmp_path / "tiny")
    paths = f"{tmp_path / 'packages'}:{SUPPORT}"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1", "PYTHONPATH": paths}
    command = ["-m", "halbench", "run", "--backend", "vllm", "--model", str(tmp_path / "tiny"), "--suite", "scenes"]
    command += ["--set", "scenes=6", "--data", str(tmp_path / "data"), "--gen-kwargs", "max_new_tokens=4", "--out"]
    for launcher, out in (([sys.executable], "one"), (TORCHRUN, "two")):
        run = [*launcher, *command, str(tmp_path / out)]
        done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=200)
        assert (tmp_path / out / "results.json").is_file(), done.stderr
    rows = [(tmp_path / out / "responses.jsonl").read_text().splitlines() for out in ("one", "two")]
    assert sorted(rows[0]) == sorted(rows[1])
    assert (tmp_path / "one/results.json").read_text() == (tmp_path / "two/results.json").read_text()
