"""What the tests of reports share: a small ablation, runs of a user's own suite, and a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_reports

from reports.reading import read_folders
from reports.types import ReportInput

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ablation; tests that change it work on a copy."""
    pytest.importorskip("PIL")
    return small_reports.ablation(tmp_path_factory.mktemp("reports") / "ablation")


@pytest.fixture(scope="session")
def reading(folder: Path) -> ReportInput:
    return read_folders([folder])


@pytest.fixture(scope="session")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ablation on a suite of the user's own; the suite's data are in its folder "data"."""
    pytest.importorskip("PIL")
    return small_reports.plates_ablation(tmp_path_factory.mktemp("plates"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    selenium = pytest.importorskip("selenium.webdriver")
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Chromium and chromedriver")
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    yield driver
    driver.quit()
