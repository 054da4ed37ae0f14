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
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

SHOWN = ("runs", "batches", "shared", "trains", "packed", "adapter")
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
    from family_check import check

    families = given.families or list(FAMILIES)
    bare = {} if given.json else without_torchvision(families)
    if not given.json:
        print("| family | " + " | ".join((*SHOWN, "without torchvision")) + " |")
        print("|" + "---|" * (len(SHOWN) + 2))
    for family in families:
        with tempfile.TemporaryDirectory() as folder:
            found = check(family, Path(folder), training=not given.without_torchvision)
        row = [family, *(found[column] for column in SHOWN), bare.get(family, "")]
        print(json.dumps(found) if given.json else f"| {' | '.join(row)} |", flush=True)


def without_torchvision(families: list[str]) -> dict[str, str]:
    """Family -> whether it runs without torchvision, or what is in the way; tried in a process of its own."""
    command = [sys.executable, "-m", "tests.families", *families, "--json", "--without-torchvision"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {row["family"]: row["runs"] for row in map(json.loads, lines)}


if __name__ == "__main__":
    main()
