"""What halbench does with a checkpoint of each model family: the table of docs/families.md.

    python -m tests.families                       all, as a table in Markdown, about five minutes
    python -m tests.families qwen3_vl gemma3       some
    python -m tests.families --json --without-torchvision

Checkpoints are tiny and made on the spot, with the files that the family's checkpoints have on the hub (tests/support/families).
Where torchvision's own operators are missing (the CPU build of torch beside the wheel of PyPI), they are defined, so that the
real processors run; --without-torchvision hides it instead, and trains nothing.
"""

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("families", nargs="*")
    arguments.add_argument("--json", action="store_true", help="one object per family and line")
    arguments.add_argument("--without-torchvision", action="store_true")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    if given.without_torchvision:
        sys.modules["torchvision"] = None  # type: ignore[assignment]
    else:
        from torchvision_operators import define_missing_operators

        define_missing_operators()
    from families import FAMILIES
    from family_check import HEADER, check, markdown_row

    if not given.json:
        print(HEADER)
    for family in given.families or FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            found = check(family, Path(folder), training=not given.without_torchvision)
        print(json.dumps(found) if given.json else markdown_row(found), flush=True)


if __name__ == "__main__":
    main()
