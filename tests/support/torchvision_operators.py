"""torchvision beside a build of torch that it was not made for.

The package index has torchvision for CUDA only. Beside the CPU build of torch its import fails, since two operators that
come with its binary part are missing: "operator torchvision::nms does not exist". Resizing and normalising, which is what
processors use of it, need neither; with the operators declared, the real processors run on any machine.
"""

import importlib.util
import sys

import torch

MISSING = ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",)
MISSING += tuple(f"q{operator}" for operator in MISSING)

# A library's operators are gone when the object is.
LIBRARIES: list[torch.library.Library] = []


def define_missing_operators() -> bool:
    """Whether torchvision can be imported afterwards. Call it before transformers is imported, which asks only once."""
    if "torchvision" in sys.modules:  # imported already, or None: hidden by a test
        return sys.modules["torchvision"] is not None
    if importlib.util.find_spec("torchvision") is None:
        return False
    if not imports():
        library = torch.library.Library("torchvision", "DEF")
        for operator in MISSING:
            library.define(operator)
        LIBRARIES.append(library)
    return imports()


def imports() -> bool:
    """Whether torchvision can be imported, and nothing of it left behind if it cannot."""
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        return False
    return True
