"""Checks of an installation, its data, and batched generation."""
