"""Tiny checkpoints and a suite, for tests of sweeps."""

from small_sweeps import folder  # noqa: F401
