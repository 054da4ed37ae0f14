"""Several processes on one run, started by `torchrun` or `accelerate launch`: each answers the images of its share.

    torchrun --nproc-per-node 2 -m halbench run --model scenes:base --suite scenes

A rank appends to a file of its own; the first one moves the rows over at the end, and at the start those that a killed run
left. What a row says does not depend on the number of ranks, and rows moved twice stand once.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from halbench.generation import latest
from halbench.run_folder import RunFolder
from halbench.types import Item, Response

PARTS = "responses.rank-*.jsonl"


@dataclass(frozen=True)
class Ranks:
    """This process among `world` ones."""

    rank: int
    world: int

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.world > 1:
            import torch.distributed as distributed

            distributed.barrier()


def join_ranks() -> Ranks:
    """The processes that torchrun started, connected over gloo; one alone otherwise."""
    ranks = Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    if ranks.world > 1:
        import torch.distributed as distributed

        if not distributed.is_initialized():
            # A rank that is done early waits for the others, however long they take.
            distributed.init_process_group("gloo", timeout=timedelta(days=30))
    return ranks


def share(items: Sequence[Item], ranks: Ranks) -> list[Item]:
    """The items of every world-th image, counted from this rank: an image is never in two shares."""
    place = {image: number for number, image in enumerate(dict.fromkeys(str(item.image) for item in items))}
    return [item for item in items if place[str(item.image)] % ranks.world == ranks.rank]


def part_folder(folder: RunFolder, ranks: Ranks) -> RunFolder:
    """The same run folder, with this rank's own responses file."""
    part = RunFolder(folder.path)
    part.responses_path = folder.path / f"responses.rank-{ranks.rank}.jsonl"
    return part


def gather(folder: RunFolder) -> None:
    """Move the rows of all rank files into responses.jsonl. Stopped half-way and called again, it ends the same."""
    parts = sorted(folder.path.glob(PARTS))
    if not parts:
        return
    with folder.appending(folder.responses_path) as writer:
        held = latest(folder.read(Response, folder.responses_path))
        for row in _rows(folder, parts):
            if held.get(row.item) != row:
                writer.write(row)
    for part in parts:
        part.unlink()


def _rows(folder: RunFolder, parts: Iterable[Path]) -> list[Response]:
    return [row for part in parts for row in folder.read(Response, part)]
