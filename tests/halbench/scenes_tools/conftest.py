"""The shipped checkpoint, opened once, and one thread for all tests of this folder."""

from collections.abc import Iterator

import pytest

from halbench.models.names import packaged_checkpoint


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def base():
    """The checkpoint that ships with halbench, in float32."""
    pytest.importorskip("torch")
    from halbench.models.checkpoints import open_checkpoint
    from halbench.types import BackendOptions

    return open_checkpoint(packaged_checkpoint("scenes:base"), BackendOptions(device="cpu", dtype="float32"))
