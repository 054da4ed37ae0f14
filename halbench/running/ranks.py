"""Several processes on one run, started by `torchrun` or `accelerate launch`: each answers its share of the images.

    torchrun --nproc-per-node 2 -m halbench run --model scenes:base --suite scenes

Each rank appends to a file of its own. The first rank moves all rows to responses.jsonl at the end, and at the start
those that a killed run left. Answers do not depend on the number of ranks, and no row is moved twice.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from halbench.errors import InputError
from halbench.folders.run import RunFolder
from halbench.running.generation import latest
from halbench.types import Item, Response

PARTS = "responses.rank-*.jsonl"
T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process (`rank`, from 0) among `world` processes."""

    rank: int
    world: int

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wait at the end until all ranks are there. What one of them could not do is raised on all, so that they stay
        together in what follows."""
        problem: Exception | None = None
        try:
            yield
        except Exception as error:
            problem = error
        if self.world > 1:
            import torch.distributed as distributed

            found: list[str | None] = [None] * self.world
            distributed.all_gather_object(found, None if problem is None else str(problem) or type(problem).__name__)
            if problem is None and (failed := [rank for rank, text in enumerate(found) if text is not None]):
                problem = InputError(f"process {failed[0]} of {self.world}: {found[failed[0]]}")
        if problem is not None:
            raise problem

    @contextmanager
    def locked(self, folder: RunFolder) -> Iterator[None]:
        """The lock of a run folder, which the first rank holds for all."""
        with ExitStack() as held:
            with self.together():
                if self.is_main:
                    held.enter_context(folder.lock())
            yield

    def of_main(self, ask: Callable[[], T]) -> T:
        """The first rank's answer, on all ranks: what each of them sees may have changed meanwhile."""
        found: list[T] = []
        with self.together():
            if self.is_main:
                found.append(ask())
        if self.world > 1:
            import torch.distributed as distributed

            found = found or [None]  # type: ignore[list-item]
            distributed.broadcast_object_list(found, src=0)
        return found[0]


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
