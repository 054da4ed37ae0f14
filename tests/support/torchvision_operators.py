"""torchvision's wheel of PyPI beside the CPU build of torch: two operators are missing, on which its import fails. Image
processing needs neither of them."""

import torch

DETECTION = ("nms", "qnms")
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
defined: list[torch.library.Library] = []


def define_missing_operators() -> bool:
    """Make torchvision importable, if it is installed; returns whether it is."""
    for name in DETECTION:
        if not hasattr(torch.ops.torchvision, name):
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{name}{SIGNATURE}")
            defined.append(library)  # what it defines goes with it
    try:
        import torchvision  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        return False
    return True
