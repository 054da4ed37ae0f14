"""Asking a judge: prompts, replies, stored replies, verdicts."""
