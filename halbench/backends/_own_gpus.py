"""GPUs for an engine that starts processes of its own, in each process that torchrun started.

torchrun --nproc-per-node 4 ... tensor_parallel_size=2          8 GPUs: rank 0 has 0,1; rank 1 has 2,3; ...
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from halbench.errors import InputError

# What torchrun tells its processes. An engine that saw it would take itself for one of them, and wait for the others.
LAUNCHER = (
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "TORCHELASTIC_USE_AGENT_STORE"),
)
# Variables of vLLM. An engine in this process, or in a fork of it, would find the connection between our ranks and use it.
OWN_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1", "VLLM_WORKER_MULTIPROC_METHOD": "spawn"}


@contextmanager
def own_gpus(count: int) -> Iterator[None]:
    """The environment in which an engine starts under torchrun: `count` GPUs that no other process of this machine has, and
    nothing of torchrun. Without torchrun nothing changes. Raises InputError if too few GPUs are visible."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    rank, ranks = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = visible_gpus()
    if len(gpus) < ranks * count:
        raise InputError(
            f"{ranks} processes on this machine with {count} GPU{'s' if count > 1 else ''} each need {ranks * count} GPUs, but "
            f"{len(gpus)} {'is' if len(gpus) == 1 else 'are'} visible; lower --nproc-per-node or tensor_parallel_size"
        )
    changed = {name: os.environ.get(name) for name in (*LAUNCHER, *OWN_PROCESS, "CUDA_VISIBLE_DEVICES")}
    for name in LAUNCHER:
        os.environ.pop(name, None)
    os.environ.update(OWN_PROCESS, CUDA_VISIBLE_DEVICES=",".join(gpus[rank * count : (rank + 1) * count]))
    try:
        yield
    finally:
        for name, value in changed.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; CUDA is not initialised."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return [str(number) for number in range(torch.cuda.device_count())]
    return [gpu for gpu in listed.split(",") if gpu.strip()]
