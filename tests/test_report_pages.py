"""The pages in a real browser (headless Chromium, where there is one): what a reader sees, presses and is protected from."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_reports

pytest.importorskip("jinja2")
pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from reports.arms import load_run
from reports.frame import read_folders
from reports.kinds import samples
from reports.reporting import report
from reports.types import Options

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and chromedriver")

HOSTILE = (
    " </script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & \u2028 "
    "\u202eright to left\u202c \U0001f642 \ufffd"
)
PHONE = {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose answers are hostile, and one that hallucinates less."""
    made = tmp_path_factory.mktemp("pages")
    small_reports.run(made / "base", 12, text=HOSTILE)
    small_reports.run(made / "tuned", 3)
    return made


@pytest.fixture(scope="module")
def improved(folder: Path) -> int:
    """In how many items the second run makes up less."""
    base, tuned = (load_run(folder / name).scores for name in ("base", "tuned"))
    return sum(samples.fault(tuned[key]) < samples.fault(base[key]) for key in base)


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    """The samples of both."""
    path = folder / "samples.html"
    base, tuned = read_folders([folder / "base", folder / "tuned"]).runs
    path.write_text(samples.page(base, tuned, Options(samples=10_000), "view").html)
    return path


def opened(browser: Any, page: Path) -> None:
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(page.as_uri())


def written(folder: Path, name: str) -> Path:
    """The samples of one run, a thousand at most."""
    (run,) = read_folders([folder / name]).runs
    path = folder / f"{name}.html"
    path.write_text(samples.page(run, None, Options(samples=1000), "view").html)
    return path


def chosen(browser: Any, name: str) -> Any:
    return Select(browser.find_element(By.ID, name))


def cards(browser: Any) -> list[Any]:
    return list(browser.find_elements(By.TAG_NAME, "article"))


def number_shown(browser: Any) -> int:
    return int(browser.find_element(By.ID, "count").text.split(" of ")[0])


def complaints(browser: Any) -> list[str]:
    return [line["message"] for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


def is_dark(browser: Any) -> bool:
    colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.strip("rgba()").split(",")[:3]) < 3 * 128


def test_what_a_model_says_is_shown_and_never_run(browser, page):
    opened(browser, page)
    assert "taken" not in browser.title
    assert browser.find_elements(By.CSS_SELECTOR, "article script, article img[src=x]") == []
    assert "</script><script>document.title='taken'</script><img src=x" in cards(browser)[0].text
    assert complaints(browser) == []


def test_hallucinated_and_correct_mentions_are_marked_after_any_letters(browser, page):
    opened(browser, page)
    chosen(browser, "group").select_by_value("description")
    first = cards(browser)[0]
    wrong = [mark.text for mark in first.find_elements(By.CSS_SELECTOR, "mark.hallucinated")]
    right = [mark.text for mark in first.find_elements(By.CSS_SELECTOR, "mark.correct")]
    assert len(wrong) == 1, "the base names one absent object there, the tuned none"
    assert right
    truth = first.find_element(By.CSS_SELECTOR, ".truth").text
    assert all(word in truth for word in right)
    present = truth.partition("absent")[0]
    assert wrong[0] not in present


def test_two_runs_stand_side_by_side_with_the_biggest_change_first(browser, page, improved):
    opened(browser, page)
    assert chosen(browser, "sort").first_selected_option.text == "biggest change first"
    marks = [
        [
            len(text.find_elements(By.CSS_SELECTOR, "mark.hallucinated"))
            for text in card.find_elements(By.CSS_SELECTOR, ".text")
        ]
        for card in cards(browser)
    ]
    assert improved > 2
    assert [one == [1, 0] for one in marks] == [True] * improved + [False] * (len(marks) - improved)
    assert [box.text for box in cards(browser)[0].find_elements(By.TAG_NAME, "h3")] == ["base", "tuned"]


def test_filters_leave_what_they_say(browser, page, improved):
    opened(browser, page)
    everything = number_shown(browser)
    chosen(browser, "state").select_by_visible_text("tuned is better")
    assert number_shown(browser) == improved
    chosen(browser, "state").select_by_visible_text("tuned is worse")
    assert number_shown(browser) == 0
    assert "No sample fits" in browser.find_element(By.ID, "samples").text
    chosen(browser, "state").select_by_value("all")
    objects = chosen(browser, "object")
    name, times = objects.options[1].text.removesuffix(")").split(" (")
    objects.select_by_value(name)
    assert number_shown(browser) == int(times)
    assert all(name in card.text for card in cards(browser))
    objects.select_by_value("")
    chosen(browser, "group").select_by_value("description")
    assert number_shown(browser) == small_reports.SCENES
    browser.find_element(By.ID, "search").send_keys("right to left")
    assert number_shown(browser) == small_reports.SCENES
    browser.find_element(By.ID, "search").send_keys(" no such words")
    assert number_shown(browser) == 0
    assert everything > small_reports.SCENES
    assert complaints(browser) == []


def test_keys_go_from_sample_to_sample(browser, page):
    opened(browser, page)
    body = browser.find_element(By.TAG_NAME, "body")
    active = "return document.activeElement.dataset.id"
    ids = [card.get_attribute("data-id") for card in cards(browser)]
    body.send_keys("j")
    assert browser.execute_script(active) == ids[0]
    browser.switch_to.active_element.send_keys("j")
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert browser.execute_script(active) == ids[2]
    browser.switch_to.active_element.send_keys("k")
    assert browser.execute_script(active) == ids[1]
    browser.switch_to.active_element.send_keys("/")
    assert browser.execute_script("return document.activeElement.id") == "search"
    browser.switch_to.active_element.send_keys("jk?")
    assert browser.find_element(By.ID, "search").get_attribute("value") == "jk?", "in a field, letters are letters"
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    browser.switch_to.active_element.send_keys("?")
    assert browser.find_element(By.ID, "keys").is_displayed()


def test_light_and_dark_are_the_readers_choice(browser, page):
    opened(browser, page)
    before = is_dark(browser)
    browser.find_element(By.ID, "theme").click()
    assert is_dark(browser) != before
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    opened(browser, page)
    assert is_dark(browser), "what the system says, until the button is pressed"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_needs_no_sideways_scrolling(browser, page):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        opened(browser, page)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_thousand_samples_and_a_very_long_answer_appear_without_delay(browser, folder):
    small_reports.run(folder / "many", 100, scenes=200, text=" and so on" * 50)
    small_reports.run(folder / "long", 2, scenes=2, text=" and so on" * 10_000)
    opened(browser, written(folder, "long"))
    chosen(browser, "group").select_by_value("description")
    assert cards(browser)[0].text.count(" and so on") == 10_000
    opened(browser, written(folder, "many"))
    assert number_shown(browser) == 1000
    timing = "return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    assert browser.execute_script(timing) < 2000, "milliseconds"
    took = browser.execute_script(
        "const from = performance.now(); document.getElementById('state').value = 'clean';"
        "document.getElementById('state').dispatchEvent(new Event('change')); document.body.offsetHeight;"
        "return performance.now() - from"
    )
    assert took < 1000, "milliseconds"
    assert len(cards(browser)) < 200, "cards are made as the reader comes to them"
    before = len(cards(browser))
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    WebDriverWait(browser, 5).until(lambda _: len(cards(browser)) > before)


@pytest.mark.slow
def test_the_whole_report_holds_figures_tables_and_the_samples_in_one_file(browser, folder, tmp_path):
    ablation = small_reports.ablation(tmp_path / "ablation")
    page, *_ = report("all", [ablation], Options(resamples=200), [], tmp_path / "out", "Small").written
    assert "http://" not in (text := page.read_text()).replace("http://www.w3.org", "")
    assert "https://" not in text.replace("https://arxiv.org", "").replace("https://openaccess.thecvf.com", "")
    opened(browser, page)
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
        opened(browser, page)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert complaints(browser) == []
