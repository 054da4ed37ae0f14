"""What the repository promises to its readers: short files, tests that mirror the packages, a true picture of the layers."""

import configparser
import re
from pathlib import Path

import pytest
from paths import ROOT

PACKAGES = ("halbench", "baselines", "reports")
LONGEST = 400
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_no_file_is_longer_than_400_lines():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in python_files(*PACKAGES, "tests", "benchmarks")
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_tests_mirror_the_packages():
    """tests/PATH/test_NAME.py or test_NAME_*.py belongs to PATH/NAME.py, or is about a package: test_PACKAGE*.py."""
    stray = []
    for test in python_files(*(f"tests/{package}" for package in PACKAGES)):
        if not test.name.startswith("test_"):
            continue
        folder = ROOT / test.parent.relative_to(ROOT / "tests")
        name = test.stem.removeprefix("test_")
        modules = [path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()]
        if not any(name == module or name.startswith(f"{module}_") for module in [*modules, folder.name]):
            stray.append(str(test.relative_to(ROOT)))
    assert stray == []


def test_the_picture_of_the_layers_names_every_package():
    picture = (ROOT / "docs/architecture.md").read_text()
    for package in PACKAGES:
        parts = {
            path.stem
            for path in (ROOT / package).iterdir()
            if (path.is_dir() and (path / "__init__.py").is_file()) or (path.suffix == ".py" and path.stem[0] != "_")
        }
        assert {part for part in parts if not re.search(rf"\b{part}\b", picture)} == set()


def test_the_contracts_name_every_package():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    assert contracts["importlinter"]["root_packages"].split() == list(PACKAGES)


def test_all_constraints_pin_the_same_text_tools():
    """Their versions change scores, and scores of all backends are compared."""
    pins = [
        set(re.findall(r"^(?:nltk|textblob)==\S+", path.read_text(), re.M)) for path in ROOT.glob("constraints*.txt")
    ]
    assert len(pins) == 2
    assert all(len(found) == 2 and found == pins[0] for found in pins)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_in_the_docs_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_the_docs_exist(page):
    named = re.findall(
        r"`((?:halbench|baselines|reports|tests|benchmarks|experiments|docs)/[\w./-]+)`", page.read_text()
    )
    assert [path for path in named if "NAME" not in path and not (ROOT / path).exists()] == []
