"""Several processes on one run, started by `torchrun` or `accelerate launch`: each answers its share of the images.

    torchrun --nproc-per-node 2 -m halbench run --model scenes:base --suite scenes

Each rank appends to a file of its own. The first rank moves all rows to responses.jsonl at the end, and at the start
those that a killed run left. Answers do not depend on the number of ranks, and no row is moved twice.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from halbench.folders.run import RunFolder
from halbench.running.generation import latest
from halbench.types import Item, Response

PARTS = "responses.rank-*.jsonl"


@dataclass(frozen=True)
class Ranks:
    """This process (`rank`, from 0) among `world` processes."""

    rank: int
    world: int

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all ranks have come here."""
        if self.world > 1:
            import torch.distributed as distributed

            distributed.barrier()


def init_ranks() -> Ranks:
    """The processes that torchrun started, connected over gloo; without torchrun, one alone."""
    ranks = Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    if ranks.world > 1:
        import torch.distributed as distributed

        if not distributed.is_initialized():
            # A rank that finishes early waits for the others, however long they take.
            distributed.init_process_group("gloo", timeout=timedelta(days=30))
    return ranks


def shard(items: Sequence[Item], ranks: Ranks) -> list[Item]:
    """The items of every world-th image, counted from this rank. An image is never in two shares."""
    index = {images: number for number, images in enumerate(dict.fromkeys(item.images or item.id for item in items))}
    return [item for item in items if index[item.images or item.id] % ranks.world == ranks.rank]


def part_folder(folder: RunFolder, ranks: Ranks) -> RunFolder:
    """The same run folder, with this rank's own responses file."""
    part = RunFolder(folder.path)
    part.responses_path = folder.path / f"responses.rank-{ranks.rank}.jsonl"
    return part


def merge_rank_files(folder: RunFolder) -> None:
    """Move the rows of all rank files into responses.jsonl. May be interrupted and repeated."""
    parts = sorted(folder.path.glob(PARTS))
    if not parts:
        return
    with folder.appending(folder.responses_path) as writer:
        known = latest(folder.read(Response, folder.responses_path))
        for row in _rows(folder, parts):
            if known.get(row.item) != row:
                writer.write(row)
    for part in parts:
        part.unlink()


def _rows(folder: RunFolder, parts: Iterable[Path]) -> list[Response]:
    return [row for part in parts for row in folder.read(Response, part)]
