"""Alignment baselines on identical data: DPO, mDPO, MFPO and MBPO."""

import halbench  # noqa: F401  first of all, so that a torchvision that cannot be imported is hidden from transformers
