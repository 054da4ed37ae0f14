"""Checkpoints of other formats, converted into those that transformers reads."""
