"""python -m baselines: only the training command of `halbench`."""

from halbench.cli import main

main(("train",))
