"""The table of docs/families.md is what happens: every family is run, trained and packed as it says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs/families.md"


def table() -> dict[str, dict[str, str]]:
    """Family -> column -> cell."""
    lines = [line.strip("| \n").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    header, *rows = lines
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}


def checked(*arguments: str) -> dict[str, dict[str, str]]:
    """What `python -m tests.families` finds, by family."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.families", "--json", *arguments], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {row["family"]: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, str]]:
    rows = checked()
    if {row["pixels"] for row in rows.values()} == {"pil"}:
        pytest.skip("needs torchvision, of any build")
    return rows


@pytest.fixture(scope="module")
def found_without_torchvision() -> dict[str, dict[str, str]]:
    return checked("--without-torchvision")


@pytest.mark.slow
@pytest.mark.parametrize("family", table())
def test_a_family_runs_and_trains_as_the_table_says(family, found):
    said = table()[family]
    assert {
        column: found[family][column] for column in ("runs", "batches", "shared", "trains", "packed", "adapter")
    } == {column: said[column] for column in ("runs", "batches", "shared", "trains", "packed", "adapter")}, found[
        family
    ]


@pytest.mark.slow
@pytest.mark.parametrize("family", table())
def test_without_torchvision_a_family_runs_or_is_refused_as_the_table_says(family, found_without_torchvision):
    row = found_without_torchvision[family]
    assert row["runs"] == table()[family]["without torchvision"]
    assert row["pixels"] == ("pil" if row["runs"] == "yes" else "-")


def test_the_table_has_every_family_that_can_be_built():
    code = "import sys; import halbench; sys.path.insert(0, 'tests/support'); from families import FAMILIES; print(*FAMILIES)"
    names = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True).stdout.split()
    assert list(table()) == names
