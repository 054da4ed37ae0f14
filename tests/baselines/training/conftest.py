"""A tiny model, twelve pairs, and a finished training on them."""

from pathlib import Path

import pytest
import small_training
from small_training import plan

from baselines.training.train import train


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_training.checkpoint(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_training.write_pairs(tmp_path_factory.mktemp("data") / "pairs")


@pytest.fixture(scope="session")
def undisturbed(model: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished mDPO run of six steps."""
    out = tmp_path_factory.mktemp("undisturbed") / "mdpo"
    train(plan("mdpo", model, pairs, out))
    return out
