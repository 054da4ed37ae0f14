"""python -m baselines: the verbs of training alone, as `halbench` has them."""

from halbench.cli import main

main(("train",))
