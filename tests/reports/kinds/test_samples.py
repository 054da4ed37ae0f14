"""The data of a page of samples: which are chosen, their images, truth and faults."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import plates_suite
import pytest
import small_reports

pytest.importorskip("jinja2")
pytest.importorskip("PIL")

from halbench.files.records import read_json, write_json
from halbench.suites import mmhal
from halbench.types import Item, Judgement, Response, Score
from reports.kinds import samples
from reports.reading import read_folders
from reports.run_groups import load_run, panels
from reports.types import Options


def rated(rating: int) -> Score:
    """MMHal-Bench's score of an answer with this rating."""
    item = Item("1", (Path("1.jpg"),), "What is this?", {"image_content": "dog", "answer": "a dog"}, "holistic")
    reply = Judgement("1", "key", "judge", None, f"Rating: {rating}")
    return mmhal.score(item, Response("1", "a dog"), reply)


@pytest.mark.parametrize(("rating", "faults"), [(6, 0), (4, 0), (3, 0), (2, 1), (0, 3)])
def test_a_rating_below_the_best_is_no_fault_by_itself(rating, faults):
    assert samples.faults(rated(rating)) == faults
    assert samples.answer(rated(rating), None)["rating"] == rating


def test_a_response_without_a_verdict_has_unknown_faults():
    score = mmhal.score(Item("1", (), "?", {}, "other"), Response("1", "a dog"), None)
    assert (score.state, samples.faults(score)) == ("unscored", None)


def test_built_in_suites_say_how_many_faults_each_response_has(folder):
    scores = load_run(folder / "base/run").scores
    descriptions = [score for score in scores.values() if score.group == "description"]
    assert [score.faults for score in descriptions] == [score.counts["mentions_hallucinated"] for score in descriptions]
    assert sum(score.faults for score in descriptions) > 5
    questions = [score for score in scores.values() if score.group != "description"]
    assert [score.faults for score in questions] == [1 - score.counts["correct"] for score in questions]


@pytest.fixture(scope="module")
def questions(plates: Path) -> samples.Questions:
    (run,) = read_folders([plates / "base/run"]).runs
    return samples.questions_of(run, Options(suite_file=small_reports.PLATES_SUITE, data=plates / "data"))


def test_a_sample_names_all_its_images_and_two_of_one_name_stay_two(questions):
    images = samples.Images()
    rows = [
        samples.sample(questions, images, [(Score(f"{n}/list", f"plate {n}", "lists", {}), None)]) for n in range(6)
    ]
    assert [row["images"] for row in rows] == 2 * [["plate.png", "right/plate.png"], ["one.png"], []]
    assert len(images.thumbnails) == 3
    assert len(set(images.thumbnails.values())) == 3


def test_only_as_many_images_are_embedded_as_a_page_can_carry(questions, monkeypatch):
    monkeypatch.setattr(samples, "MAX_IMAGE_BYTES", 1)
    images = samples.Images()
    samples.sample(questions, images, [(Score("0/list", "plate 0", "lists", {}), None)])
    assert len(images.thumbnails) == 1


def test_a_suite_names_the_fields_of_its_truth(questions):
    row = samples.sample(questions, samples.Images(), [(Score("1/list", "plate 1", "lists", {}), None)])
    assert row["truth"] == [f"served: {', '.join(plates_suite.foods_on(1))}", "near it: knife"]


@dataclass(frozen=True)
class Truth:
    objects: tuple[str, ...]
    seen_colours: frozenset[str]
    count: int | None
    box: Mapping[str, int]


def test_any_truth_becomes_labelled_lines():
    assert samples.truth_lines(None, {}) == []
    assert samples.truth_lines("yes", {}) == ["truth: yes"]
    assert samples.truth_lines(["dog", "cat"], {}) == ["truth: dog, cat"]
    assert samples.truth_lines(
        Truth(("dog", "cat"), frozenset(("red", "blue")), None, {"x_0": 1}), {"box": "where"}
    ) == [
        "objects: dog, cat",
        "seen colours: blue, red",
        "count: ",
        "where: x 0: 1",
    ]


def test_without_the_suite_s_data_samples_are_shown_without_questions(plates):
    (run,) = read_folders([plates / "base/run"]).runs
    made = samples.page(run, None, Options(), "view")
    assert "without questions, truth and images: suite 'plates'" in made.note
    assert '"cluster": "plate 0"' in made.html


def test_half_of_the_samples_are_those_that_changed_most(plates):
    (panel,) = panels(read_folders([plates]))
    runs = [load_run(group.runs[0].path) for group in panel.groups]
    keys = samples.select(runs, 10)
    changed = {key for key in runs[0].scores if samples.change(runs, key)}
    assert len(keys) == len(set(keys)) == 10
    assert set(keys[:5]) <= changed
    assert len(changed) == 14, "the second run invents less on 14 plates"


@pytest.mark.parametrize(
    ("evidence", "note"),
    [({"answer": "yes"}, "read as yes"), ({"answer": None}, "no answer could be read"), ({"rating": 3}, None)],
)
def test_a_closed_question_shows_how_its_answer_was_read(evidence, note):
    assert samples.read_note(evidence) == note


def test_what_a_judge_said_is_text_whatever_its_shape():
    score = Score("1", "1.jpg", "all", {}, {"judge": {"verdict": "wrong", "why": ["no dog", "no cat"]}})
    assert samples.answer(score, None)["judge"] == "verdict: wrong, why: no dog, no cat"
    assert samples.answer(Score("1", "1.jpg", "all", {}), None)["judge"] is None


def test_damaged_responses_are_named_and_the_scores_are_still_shown(folder, tmp_path):
    shutil.copytree(folder / "base/run", tmp_path / "run")
    manifest = read_json(tmp_path / "run/manifest.json")
    write_json(tmp_path / "run/manifest.json", manifest | {"files": {}})  # as earlier versions wrote it
    rows = (tmp_path / "run/responses.jsonl").read_text()
    (tmp_path / "run/responses.jsonl").write_text(rows.replace('"text"', '"words"', 2))
    (page,) = samples.build(read_folders([tmp_path]), small_reports.FEW)
    assert "without answers: " in page.note
    assert "responses.jsonl:1: unknown field 'words'" in page.note
