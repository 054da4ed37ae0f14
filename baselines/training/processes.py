"""What the processes of one training agree on."""

from typing import TypeVar

import torch

Value = TypeVar("Value")


def broadcast_from_main(value: Value) -> Value:
    """The main process's value, in every process."""
    if not torch.distributed.is_initialized():
        return value
    holder = [value]
    torch.distributed.broadcast_object_list(holder)
    return holder[0]


def in_any_process(value: bool, device: torch.device) -> bool:
    """Whether the value is true in any of the processes, which all ask at the same step."""
    if not torch.distributed.is_initialized():
        return value
    flag = torch.tensor(int(value), device=device)
    torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
    return bool(flag)
