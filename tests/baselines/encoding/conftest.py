from collections.abc import Callable
from dataclasses import replace

import pytest
from packed_examples import open_tiny, shaped_pairs

from baselines.types import Pair
from halbench.models.checkpoints import Checkpoint


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkpoint]:
    """Opens the tiny checkpoint of a family, once."""
    folder, opened = tmp_path_factory.mktemp("checkpoints"), {}

    def get(family: str) -> Checkpoint:
        if family not in opened:
            opened[family] = open_tiny(family, folder)
        return replace(opened[family])

    return get


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    return shaped_pairs(tmp_path_factory.mktemp("images"))
