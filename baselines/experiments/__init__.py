"""Ablations: objectives compared on identical data, with controls."""
