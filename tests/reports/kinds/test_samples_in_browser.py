"""The browser of samples, in headless Chromium if installed: what a reader sees, presses and is protected from."""

import shutil
from pathlib import Path
from typing import Any

import plates_suite
import pytest
import small_reports

pytest.importorskip("jinja2")
pytest.importorskip("selenium")

from browser_pages import PHONE, cards, console_errors, is_dark, open_page
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from halbench.files.records import read_json, read_jsonl, write_json, write_jsonl
from reports.kinds import samples
from reports.reading import read_folders
from reports.run_groups import load_run
from reports.types import Options

HOSTILE = (
    " </script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & \u2028 "
    "\u202eright to left\u202c \U0001f642 \ufffd"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose answers are hostile, and one that hallucinates less."""
    folder = tmp_path_factory.mktemp("pages")
    small_reports.run(folder / "base", 12, text=HOSTILE)
    small_reports.run(folder / "tuned", 3)
    return folder


@pytest.fixture(scope="module")
def improved(runs: Path) -> int:
    """The number of items in which the second run hallucinates less."""
    base, tuned = (load_run(runs / name).scores for name in ("base", "tuned"))
    return sum(samples.faults(tuned[key]) < samples.faults(base[key]) for key in base)


@pytest.fixture(scope="module")
def page(runs: Path) -> Path:
    """The samples of both."""
    path = runs / "samples.html"
    base, tuned = read_folders([runs / "base", runs / "tuned"]).runs
    path.write_text(samples.page(base, tuned, Options(samples=10_000), "view").html)
    return path


def page_of(folder: Path, name: str) -> Path:
    """The samples of one run, a thousand at most."""
    (run,) = read_folders([folder / name]).runs
    path = folder / f"{name}.html"
    path.write_text(samples.page(run, None, Options(samples=1000), "view").html)
    return path


def choice(browser: Any, name: str) -> Any:
    return Select(browser.find_element(By.ID, name))


def number_shown(browser: Any) -> int:
    return int(browser.find_element(By.ID, "count").text.split(" of ")[0])


def test_what_a_model_says_is_shown_and_never_executed(browser, page):
    open_page(browser, page)
    assert "taken" not in browser.title
    assert browser.find_elements(By.CSS_SELECTOR, "article script, article img[src=x]") == []
    assert "</script><script>document.title='taken'</script><img src=x" in cards(browser)[0].text
    assert console_errors(browser) == []


def test_thoughts_are_folded_above_the_answer_and_never_executed(browser, tmp_path):
    small_reports.run(tmp_path / "thinker", 3, thought=f"<think>Is there a fork?{HOSTILE}</think>\n\n")
    open_page(browser, page_of(tmp_path, "thinker"))
    folded = browser.find_element(By.CSS_SELECTOR, "details.thoughts")
    assert (folded.get_attribute("open"), "taken" in browser.title) == (None, False)
    folded.find_element(By.TAG_NAME, "summary").click()
    assert "Is there a fork?" in folded.text
    assert "Is there a fork?" not in browser.find_element(By.CSS_SELECTOR, "p.text").text
    assert console_errors(browser) == []


def test_answers_that_are_still_thoughts_can_be_listed(browser, tmp_path):
    small_reports.run(tmp_path / "thinker", 3, thought="<think>Is there a fork? ")
    open_page(browser, page_of(tmp_path, "thinker"))
    choice(browser, "state").select_by_visible_text("still reasoning")
    assert 0 < number_shown(browser) == len(cards(browser))
    assert "unfinished: no answer: still reasoning when it ended" in cards(browser)[0].text


def test_hallucinated_and_correct_mentions_are_marked_after_any_letters(browser, page):
    open_page(browser, page)
    choice(browser, "group").select_by_value("description")
    first = cards(browser)[0]
    wrong = [mark.text for mark in first.find_elements(By.CSS_SELECTOR, "mark.hallucinated")]
    right = [mark.text for mark in first.find_elements(By.CSS_SELECTOR, "mark.correct")]
    assert len(wrong) == 1, "the base names one absent object there, the tuned none"
    assert right
    truth = first.find_element(By.CSS_SELECTOR, ".truth").text
    assert all(word in truth for word in right)
    present = truth.partition("absent")[0]
    assert wrong[0] not in present


def test_two_runs_are_shown_side_by_side_with_the_largest_change_first(browser, page, improved):
    open_page(browser, page)
    assert choice(browser, "sort").first_selected_option.text == "largest change first"
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


def test_filters_show_what_they_name(browser, page, improved):
    open_page(browser, page)
    everything = number_shown(browser)
    choice(browser, "state").select_by_visible_text("tuned is better")
    assert number_shown(browser) == improved
    choice(browser, "state").select_by_visible_text("tuned is worse")
    assert number_shown(browser) == 0
    assert "No sample matches" in browser.find_element(By.ID, "samples").text
    choice(browser, "state").select_by_value("all")
    objects = choice(browser, "object")
    name, times = objects.options[1].text.removesuffix(")").split(" (")
    objects.select_by_value(name)
    assert number_shown(browser) == int(times)
    assert all(name in card.text for card in cards(browser))
    objects.select_by_value("")
    choice(browser, "group").select_by_value("description")
    assert number_shown(browser) == small_reports.SCENES
    browser.find_element(By.ID, "search").send_keys("right to left")
    assert number_shown(browser) == small_reports.SCENES
    browser.find_element(By.ID, "search").send_keys(" no such words")
    assert number_shown(browser) == 0
    assert everything > small_reports.SCENES
    assert console_errors(browser) == []


def test_keys_go_from_sample_to_sample(browser, page):
    open_page(browser, page)
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
    open_page(browser, page)
    before = is_dark(browser)
    browser.find_element(By.ID, "theme").click()
    assert is_dark(browser) != before
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    open_page(browser, page)
    assert is_dark(browser), "what the system says, until the button is pressed"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_needs_no_sideways_scrolling(browser, page):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        open_page(browser, page)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_thousand_samples_and_a_very_long_answer_appear_without_delay(browser, runs):
    small_reports.run(runs / "many", 100, scenes=200, text=" and so on" * 50)
    small_reports.run(runs / "long", 2, scenes=2, text=" and so on" * 10_000)
    open_page(browser, page_of(runs, "long"))
    choice(browser, "group").select_by_value("description")
    assert cards(browser)[0].text.count(" and so on") == 10_000
    open_page(browser, page_of(runs, "many"))
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


@pytest.fixture(scope="module")
def plates_page(plates: Path) -> Path:
    """The samples of both runs on a suite of the user's own."""
    path = plates / "samples.html"
    base, tuned = read_folders([plates / "base/run", plates / "cells"]).runs
    options = Options(suite_file=small_reports.PLATES_SUITE, data=plates / "data")
    path.write_text(samples.page(base, tuned, options, "view").html)
    return path


def test_all_images_of_a_question_are_shown_and_a_question_without_any_says_so(browser, plates_page):
    open_page(browser, plates_page)
    choice(browser, "group").select_by_value("lists")
    choice(browser, "sort").select_by_value("order")
    two, one, none = cards(browser)[:3]
    pictures = [card.find_elements(By.CSS_SELECTOR, ".images img") for card in (two, one, none)]
    assert [len(images) for images in pictures] == [2, 1, 0]
    assert len({image.get_attribute("src") for image in pictures[0]}) == 2, "they have one name and are two images"
    assert all(image.size["width"] > 50 for image in pictures[0])
    assert none.find_element(By.CSS_SELECTOR, ".placeholder").text == "no image"
    assert console_errors(browser) == []


def test_a_suite_of_ones_own_is_filtered_and_sorted_by_its_faults(browser, plates_page):
    open_page(browser, plates_page)
    assert [option.text for option in choice(browser, "sort").options] == [
        "largest change first",
        "most faults first",
        "in the suite's order",
    ]
    choice(browser, "group").select_by_value("lists")
    choice(browser, "state").select_by_value("faulty")
    assert number_shown(browser) == 16
    first = cards(browser)[0]
    assert len(first.find_elements(By.CSS_SELECTOR, "mark.hallucinated")) == 1
    assert "served: " in first.find_element(By.CSS_SELECTOR, ".truth").text
    choice(browser, "group").select_by_value("picks")
    assert number_shown(browser) == plates_suite.PLATES // 2
    assert "wrong" in cards(browser)[0].find_element(By.CSS_SELECTOR, ".verdict").text


def test_the_suite_s_order_is_that_of_its_items(browser, page, runs):
    open_page(browser, page)
    choice(browser, "sort").select_by_value("order")
    ids = [card.get_attribute("data-id") for card in cards(browser)]
    assert ids == list(load_run(runs / "base").scores)[: len(ids)]


def test_a_suite_that_does_not_say_what_is_wrong_has_no_filters_for_it(browser, plates, tmp_path):
    shutil.copytree(plates / "base/run", tmp_path / "run")
    scores = tmp_path / "run/scores.jsonl"
    write_jsonl(scores, [row | {"faults": None} for _, row in read_jsonl(scores)])
    manifest = tmp_path / "run/manifest.json"
    write_json(manifest, read_json(manifest) | {"files": {}})  # as of an older run, without checksums
    open_page(browser, page_of(tmp_path, "run"))
    assert [option.text for option in choice(browser, "state").options] == ["all states", "empty, failed or not judged"]
    assert [option.text for option in choice(browser, "sort").options] == ["in the suite's order"]
    assert number_shown(browser) == 2 * plates_suite.PLATES
