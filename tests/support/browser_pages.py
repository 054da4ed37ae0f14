"""Pages in a browser driven by selenium."""

from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By

PHONE = {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}


def open_page(browser: Any, page: Path) -> None:
    """Load a page with an empty console."""
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(page.as_uri())


def console_errors(browser: Any) -> list[str]:
    """Errors and warnings since the page was loaded."""
    return [line["message"] for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


def is_dark(browser: Any) -> bool:
    colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.strip("rgba()").split(",")[:3]) < 3 * 128


def cards(browser: Any) -> list[Any]:
    """The samples on a page."""
    return list(browser.find_elements(By.TAG_NAME, "article"))
