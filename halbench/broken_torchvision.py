"""torchvision that is installed but cannot be imported is hidden from transformers, which would use it nevertheless.

The usual case is the CPU build of torch beside torchvision's wheel from PyPI, which is built for CUDA: its import fails with
"operator torchvision::nms does not exist". transformers only looks whether the package is there, so every AutoProcessor
would fail with it. Hidden, it counts as not installed: images are processed by Pillow, and the processors that need none of it
work. transformers looks when it is first imported, so that is when torchvision is tried.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from types import ModuleType

from halbench.errors import first_sentence

INSTALL_TORCHVISION = (
    "install torchvision as README's Install says: its release must match torch's, and both must be CPU builds or both CUDA "
    "builds"
)


def torchvision_problem() -> str | None:
    """Why torchvision cannot be imported ("not installed", or its version and error); None if it can be."""
    loaded: dict[str, ModuleType | None] = dict(sys.modules)
    if "torchvision" in loaded and loaded["torchvision"] is None:
        problems = [finder.problem for finder in sys.meta_path if isinstance(finder, TryTorchvision)]
        return next(filter(None, problems), "not installed")
    if find_spec("torchvision") is None:
        return "not installed"
    try:
        import_module("torchvision")
    except Exception as error:  # a mismatch shows as ImportError, OSError, RuntimeError or AttributeError
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        return f"{installed_version()} cannot be imported ({first_sentence(error)})"
    return None


def installed_version() -> str:
    """The version of torchvision's distribution."""
    from importlib.metadata import PackageNotFoundError, version  # costs as much as all else here

    try:
        return version("torchvision")
    except PackageNotFoundError:
        return "unknown version"


class TryTorchvision(MetaPathFinder):
    """Sees the first import of transformers, and hides a torchvision that cannot be imported. It finds no module itself.
    problem: why it was hidden."""

    problem = ""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name != "transformers" or self.problem or find_spec("torch") is None:
            return
        if "torchvision" in sys.modules or find_spec("torchvision") is None:
            return
        problem = torchvision_problem()
        if problem is not None:
            self.problem = problem
            sys.modules["torchvision"] = None  # type: ignore[assignment]  # Python's way to say that there is none


def hide_broken_torchvision() -> None:
    """From now on, the first import of transformers hides a torchvision that cannot be imported."""
    if not any(isinstance(finder, TryTorchvision) for finder in sys.meta_path):
        sys.meta_path.insert(0, TryTorchvision())
