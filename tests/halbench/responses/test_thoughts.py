"""Thoughts before answers change no number: score(x) == score(thought + x) for every suite and every stored file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from recorded_language import RecordedLanguage

from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.evaluate import Evaluation
from halbench.evaluation.score import score_stored
from halbench.judging.options import Judging
from halbench.reasoning import Reasoning
from halbench.responses.response_files import TEXT_FIELDS
from halbench.responses.thoughts import without_thoughts
from halbench.suites import amber, chair, object_halbench
from halbench.types import Response

EXCERPTS = ROOT / "tests/data/parity"
THOUGHT = (
    '<think>\nIs there a dog, a giraffe or a red car? Yes. The user wants "Yes" or "No".\nRating: 6\nI\'m sorry, I can\'t see '
    'a person on the surfboard; ["dog", "pizza"].\n</think>\n\n'
)
STORED = [
    *(
        ("amber", f"amber/{name}.json", ())
        for name in ("llava15_7b__amber_g", "llava15_7b_2shot__amber_g", "all_model_c")
    ),
    *(("amber", f"amber/{name}.json", ()) for name in ("gen_edge", "gen_precise_s1", "dis_noisy80", "dis_formats")),
    ("amber", "amber/dis_subset_shuffled.json", ()),
    *(("chair", f"chair/{name}.jsonl", ()) for name in ("llava-1.5_beam5", "llava-1.5_greedy", "minigpt4_greedy")),
    ("chair", "chair/minigpt4_ours.jsonl", ()),
    *(
        ("object_halbench", f"object_halbench/{name}.answers_with_standin_extraction.jsonl", ("extraction=stored",))
        for name in ("kchaosun_beam", "llava15_7b", "edge")
    ),
    ("object_halbench", "object_halbench/real_llava15_7b__object_halbench.jsonl", ()),
    *(("mmhal", f"mmhal/{name}.json", ()) for name in ("blip2_2.7b", "instructblip_7b", "idefics_9b", "llava_7b")),
    *(("pope", f"pope/real_{name}.jsonl", ()) for name in ("blip2_opt2.7b_random", "llava15_7b__pope_adv")),
]


def thinking(source: Path, folder: Path, thought: str = THOUGHT) -> Path:
    """A copy of a response file in which every answer follows a thought."""
    lines = source.suffix == ".jsonl"
    text = source.read_text()
    rows = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    for row in rows:
        field = next(name for name in TEXT_FIELDS if name in row)
        row[field] = thought + (row[field] or "")
    out = folder / source.name
    out.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows))
    return out


def numbers(evaluation: Evaluation) -> tuple[Any, ...]:
    """All that is measured; of the evidence, what the counts come from."""
    rows = [(row.group, row.metric, row.value, row.low, row.high, row.official, row.n) for row in evaluation.results]
    scores = [(score.item, score.state, dict(score.counts), score.error) for score in evaluation.scores]
    return rows, scores, evaluation.coverage, evaluation.signature


def same_with_thoughts(choice: SuiteChoice, file: Path, judging: Judging, folder: Path) -> None:
    plain = score_stored(choice, file, judging)
    thought = score_stored(choice, thinking(file, folder), judging)
    assert numbers(thought) == numbers(plain)
    assert all("giraffe" in response.extra["reasoning"] for response in thought.responses if response.state == "ok")


@pytest.fixture
def recorded(monkeypatch):
    """The text pipeline as it was recorded on the excerpts."""
    monkeypatch.setattr(
        chair,
        "default_sample",
        lambda data: {str(json.loads(line)["image_id"]): Path() for line in captions.splitlines()},
    )
    captions = (EXCERPTS / "responses/chair.jsonl").read_text()
    language = RecordedLanguage(EXCERPTS / "language.json")
    for module in (amber, chair, object_halbench):
        monkeypatch.setattr(module, "open_language", lambda data: language)


@pytest.mark.parametrize("file", ["amber.json", "chair.jsonl", "object_halbench.jsonl", "mmhal.json", "pope.jsonl"])
def test_thoughts_before_real_answers_change_no_number(recorded, tmp_path, file):
    suite = file.partition(".")[0]
    settings = ("split=adversarial",) if suite == "pope" else ()
    judging = Judging(stored=EXCERPTS / "responses/mmhal_judge.json") if suite == "mmhal" else Judging()
    same_with_thoughts(SuiteChoice(EXCERPTS, None, suite, settings), EXCERPTS / "responses" / file, judging, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "file", "settings"), STORED, ids=[file for _, file, _ in STORED])
def test_thoughts_before_all_stored_answers_change_no_number(data, tmp_path, suite, file, settings):
    judged = data.root / f"responses/mmhal_judge/{Path(file).stem}__gpt-4o-2024-08-06.json"
    judging = Judging(stored=judged) if suite == "mmhal" and judged.is_file() else Judging()
    same_with_thoughts(SuiteChoice(data.root, None, suite, settings), data.root / "responses" / file, judging, tmp_path)


def test_answers_that_are_kept_with_their_thoughts_are_another_number(recorded, tmp_path):
    choice, file = SuiteChoice(EXCERPTS, None, "pope", ("split=adversarial",)), EXCERPTS / "responses/pope.jsonl"
    kept = score_stored(choice, thinking(file, tmp_path), reasoning=Reasoning(reasoning="keep"))
    assert "|reasoning:keep" in kept.signature
    assert numbers(kept)[0] != numbers(score_stored(choice, file))[0]


def test_a_thought_that_never_ends_is_counted_and_never_scored(recorded, tmp_path):
    choice, file = SuiteChoice(EXCERPTS, None, "pope", ("split=adversarial",)), EXCERPTS / "responses/pope.jsonl"
    evaluation = score_stored(choice, thinking(file, tmp_path, "<think>Is there a dog? Yes"))
    assert {(score.state, *score.counts) for score in evaluation.scores} == {("unfinished",)}
    assert (evaluation.coverage.unfinished, evaluation.coverage.scored, evaluation.coverage.empty) == (61, 0, 0)
    assert "61 still reasoning" in evaluation.coverage.complaint()
    assert not evaluation.coverage.complete


def test_a_thought_in_a_field_of_its_own_is_kept_beside_the_answer():
    response = Response("1", "A cat.", 9, "stop", extra={"reasoning_content": "A dog?", "model": "m"})
    assert without_thoughts(response, Reasoning()) == replace(response, extra={"reasoning": "A dog?", "model": "m"})
    cut = Response("1", "", 9, "length", "empty", extra={"reasoning_content": "A dog?"})
    assert without_thoughts(cut, Reasoning()).state == "unfinished"


def test_a_response_whose_thoughts_were_set_apart_stays_as_it_is():
    once = without_thoughts(Response("1", THOUGHT + "A cat."), Reasoning())
    assert without_thoughts(once, Reasoning()) == once
    unfinished = without_thoughts(Response("1", "<think>A dog"), Reasoning())
    assert without_thoughts(unfinished, Reasoning()) == unfinished
