"""`python -m reports KIND RUNS...` is `halbench report KIND RUNS...`."""

import sys

from halbench.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "report")
    main(("report",))
