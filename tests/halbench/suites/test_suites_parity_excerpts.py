"""Parity with the official scripts on some 20 real responses of each suite, without downloads: see tests/data/parity."""

import json
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from recorded_language import RecordedLanguage

from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.evaluate import Evaluation
from halbench.evaluation.score import score_stored
from halbench.files.records import read_jsonl
from halbench.judging.options import Judging
from halbench.scoring_tools.coco_truth import read_coco_truth
from halbench.suites import amber, chair, object_halbench

EXCERPTS = ROOT / "tests/data/parity"


CAPTIONED = {str(row["image_id"]): Path() for _, row in read_jsonl(EXCERPTS / "responses/chair.jsonl")}


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    """The text pipeline as it was recorded on these responses, and CHAIR's sample without the other images."""
    monkeypatch.setattr(chair, "default_sample", lambda data: CAPTIONED)
    language = RecordedLanguage(EXCERPTS / "language.json")
    for module in (amber, chair, object_halbench):
        monkeypatch.setattr(module, "open_language", lambda data: language)


def evaluate(suite: str, responses: str, *settings: str, judging: Judging | None = None) -> Evaluation:
    choice = SuiteChoice(EXCERPTS, None, suite, settings)
    return score_stored(choice, EXCERPTS / "responses" / responses, judging or Judging())


def expected(name: str) -> Any:
    return json.loads((EXCERPTS / f"expected/{name}.json").read_text())


def test_amber_counts_every_description_as_the_official_script_does():
    evaluation = evaluate("amber", "amber.json")
    names = ("nouns_hallucinated", "nouns", "truth_covered", "truth_slots", "hallu_named", "hallu_slots")
    counts = sorted(
        [int(s.item), *(int(s.counts[n]) for n in names), int(not s.counts["descriptions_hallucinated"])]
        for s in evaluation.scores
    )
    assert len(counts) == 20
    assert sum(row[1] for row in counts) > 5  # there are hallucinations to get wrong
    assert counts == sorted(expected("amber")["rows"])


@pytest.mark.parametrize(
    ("variant", "settings"),
    [
        ("opera_gtP", ("captions=wordnet", "truth=pattern")),
        ("opera_gtW", ("captions=wordnet", "truth=wordnet")),
        ("maxlinn_gtP", ("captions=pattern", "truth=pattern")),
    ],
)
def test_chair_finds_the_objects_that_the_official_script_finds(variant, settings):
    scores = {int(score.item): score for score in evaluate("chair", "chair.jsonl", *settings).scores}
    officials = expected(f"chair_{variant}")
    assert len(officials) == len(scores) == 20
    for official in officials:
        score = scores[official["image_id"]]
        mentions, wrong = score.evidence["mentions"], score.evidence["hallucinated"]
        assert [mention.category for mention in mentions] == official["generated"]
        assert [[mention.word, mention.category] for mention in wrong] == official["hallucinated"]
        assert [mention.position for mention in wrong] == official["idxs"]
        assert score.counts["words"] == official["n_words"]
    assert any(official["hallucinated"] for official in officials)


def test_captions_of_a_part_of_the_known_sample_are_incomplete_unless_they_are_listed(monkeypatch, tmp_path):
    others = {key: Path() for key in read_coco_truth(EXCERPTS / "chair/coco2014_objects_wordnet.json.gz")}
    monkeypatch.setattr(chair, "default_sample", lambda data: others)
    part = evaluate("chair", "chair.jsonl")
    assert (part.coverage.missing, part.coverage.complete) == (len(others) - 20, False)
    assert f"captions of 20 of the {len(others)} images of OPERA's sample" in part.notes[0]
    monkeypatch.setattr(chair, "default_sample", lambda data: {key: Path() for key in list(CAPTIONED)[:19]})
    beside = evaluate("chair", "chair.jsonl")
    assert "19 of these 20 images are among the 19 of OPERA's sample, the others are not" in beside.notes[0]
    (tmp_path / "ids.txt").write_text("\n".join(CAPTIONED))
    listed = evaluate("chair", "chair.jsonl", f"images={tmp_path / 'ids.txt'}")
    assert (listed.coverage.complete, listed.notes) == (True, ())
    assert [row.value for row in listed.results] == [row.value for row in part.results]


@pytest.mark.parametrize("extraction", ["words", "stored"])
def test_object_halbench_names_the_objects_that_the_official_script_names(extraction):
    evaluation = evaluate("object_halbench", "object_halbench.jsonl", f"extraction={extraction}")
    scores = {score.item: score for score in evaluation.scores}
    officials = expected(f"object_halbench_{extraction}")
    assert len(officials) == len(scores) == 20
    for official in officials:
        evidence = scores[str(official["image_id"])].evidence
        assert sorted(evidence["truth"]) == sorted(official["mscoco_gt_words"])
        assert [[m.word, m.category] for m in evidence["mentions"]] == official["mscoco_generated_words"]
        assert [m.word for m in evidence["hallucinated"]] == [w for w, _ in official["mscoco_hallucinated_words"]]


def test_mmhal_reads_every_reply_as_the_official_script_does():
    judging = Judging(stored=EXCERPTS / "responses/mmhal_judge.json")
    evaluation = evaluate("mmhal", "mmhal.json", judging=judging)
    assert [score.evidence["official_rating"] for score in evaluation.scores] == expected("mmhal")
    printed = {(row.group, row.metric): row.official for row in evaluation.results}
    assert printed["all", "score"] == round(sum(expected("mmhal")) / 24, 2)


def test_pope_prints_what_llavas_script_prints():
    # counted from the files: every answer is a bare "Yes" or "No"
    true_positive, false_positive, true_negative, false_negative = 18, 5, 25, 13
    printed = {
        row.metric: row.official
        for row in evaluate("pope", "pope.jsonl", "split=adversarial").results
        if row.group == "all"
    }
    precision = true_positive / (true_positive + false_positive)
    recall = true_positive / (true_positive + false_negative)
    assert printed["accuracy"] == (true_positive + true_negative) / 61
    assert (printed["precision"], printed["recall"]) == (precision, recall)
    assert printed["f1"] == 2 * precision * recall / (precision + recall)
