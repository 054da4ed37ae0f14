"""Tiny checkpoints and pictures for the tests of this folder."""

from tiny_backends import checkpoints, images, items  # noqa: F401
