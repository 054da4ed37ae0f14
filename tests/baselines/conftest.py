"""Pairs, tools and a model for tests of views."""

from dataclasses import replace

import pytest
from dog_pairs import STORED, write_dog_pairs

from baselines.types import Pair
from baselines.view_tools.reference_model import ReferenceModel
from baselines.view_tools.tools import Tools
from halbench.data.datasets import Data
from halbench.models.checkpoints import open_checkpoint
from halbench.scoring_tools.language import Language, open_language
from halbench.types import BackendOptions


@pytest.fixture(scope="session")
def dog_pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    return write_dog_pairs(tmp_path_factory.mktemp("dogs"))


@pytest.fixture(scope="session")
def language(data: Data) -> Language:
    return open_language(data)


@pytest.fixture(scope="session")
def reference() -> ReferenceModel:
    """The checkpoint that ships with halbench."""
    return ReferenceModel(open_checkpoint("scenes:base", BackendOptions(device="cpu", dtype="float32")))


@pytest.fixture
def tools(dog_pairs: list[Pair]) -> Tools:
    return Tools(pairs=dog_pairs, pixels=STORED)


@pytest.fixture
def language_tools(tools: Tools, language: Language) -> Tools:
    return replace(tools, language=language)
