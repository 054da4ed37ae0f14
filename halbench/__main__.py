"""`python -m halbench`, as torchrun and accelerate launch call it."""

from halbench.cli import main

main()
