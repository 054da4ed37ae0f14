"""Alignment baselines on identical data: DPO, mDPO, MFPO and MBPO."""
