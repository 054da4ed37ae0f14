"""The page of a whole report, in headless Chromium if installed."""

import time

import pytest
from small_reports import FEW

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("selenium")

from browser_pages import PHONE, cards, console_errors, is_dark, open_page
from selenium.webdriver.common.by import By

from reports.page import page, script_json
from reports.reading import read_folders
from reports.reporting import report


def test_json_inside_a_page_cannot_end_its_script():
    assert "<" not in script_json({"text": "</script><script>alert(1)</script>"})


@pytest.mark.parametrize(
    ("runs", "line"), [(["base"], "1 run of scenes, 0 trainings"), ([], "6 runs of scenes, 4 trainings")]
)
def test_the_page_says_what_was_read(folder, runs, line):
    reading = read_folders([folder.joinpath(*runs)])
    assert line in page("t", reading, {})


@pytest.mark.slow
def test_the_whole_report_is_one_file_with_figures_tables_and_samples(browser, folder, tmp_path):
    path, *_ = report("all", [folder], FEW, [], tmp_path / "out", "Small").written
    assert "http://" not in (text := path.read_text()).replace("http://www.w3.org", "")
    assert "https://" not in text.replace("https://arxiv.org", "").replace("https://openaccess.thecvf.com", "")
    open_page(browser, path)
    shown = browser.find_elements(By.CSS_SELECTOR, "img.for-light, img.for-dark")
    broken = browser.execute_script(
        "return [...document.images].filter((one) => one.complete && !one.naturalWidth).length"
    )
    assert shown
    assert broken == 0
    assert sum(one.is_displayed() for one in shown) == len(shown) / 2, "one of each pair, as the theme says"
    was = is_dark(browser)
    browser.find_element(By.ID, "theme").click()
    assert is_dark(browser) != was
    assert sum(one.is_displayed() for one in shown) == len(shown) / 2
    button = browser.find_element(By.CSS_SELECTOR, "button.open")
    browser.execute_script("arguments[0].click()", button)
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    deadline = time.monotonic() + 10
    while not cards(browser) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(cards(browser)) > 10
    browser.switch_to.default_content()
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        open_page(browser, path)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert console_errors(browser) == []
