"""Object HalBench: lists of objects, stored or extracted, and the official script's numbers."""

import gzip
import json

import pytest
from judge_server import JudgeServer, reply
from stored import counts, jsonl, printed, score, values

from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.score import score_stored
from halbench.judging.options import JudgeOptions, Judging
from halbench.scoring_tools.coco_objects import open_vocabulary
from halbench.scoring_tools.language import open_language
from halbench.suites.object_halbench import not_in_answer


def test_an_object_list_longer_than_its_answer_is_counted_whole(data, tmp_path):
    names = ["cat", "dog", "car", "bus", "cow", "bird", "train", "truck", "boat", "bench", "horse", "sheep"]
    row = {"image_id": 339761, "answer": "a b c d", "extract_objs": names}
    evaluation = score("object_halbench", jsonl(tmp_path / "a.jsonl", [row]), data, "extraction=stored")
    (scored,) = [score for score in evaluation.scores if score.state == "scored"]
    assert scored.counts["mentions"] == len(names)


def test_a_failed_extraction_stays_in_the_coverage_and_out_of_the_score(data, tmp_path):
    failed = {"image_id": 339761, "answer": "A dog on a long bench.", "extract_objs": "-1\n<no_response>"}
    good = {"image_id": 431256, "answer": "A person on a long bench.", "extract_objs": ["person"]}
    evaluation = score("object_halbench", jsonl(tmp_path / "a.jsonl", [failed, good]), data, "extraction=stored")
    assert (evaluation.coverage.scored, evaluation.coverage.unscored) == (1, 1)
    assert evaluation.coverage.reasons == ("no object list: the row has no list of names in extract_objs",)


@pytest.mark.parametrize(
    ("names", "foreign"),
    [
        (["man", "benches", "Frisbee"], []),
        (["large dog", "bowl of fruit"], []),
        (["person", "dining table"], []),  # other names of what is called men and table
        (["couch", "sink"], ["couch", "sink"]),
        (["kitchen"], ["kitchen"]),
        ([], []),
        (["", "..."], ["", "..."]),
    ],
)
def test_names_that_the_answer_does_not_contain_in_any_inflection(data, names, foreign):
    language = open_language(data)
    vocabulary = open_vocabulary(data.file("object_halbench/synonyms_refine.txt"), two_words=None)
    answer = "Two men with dogs sit on a bench by a table, throwing frisbees at some fruits."
    assert not_in_answer(names, answer, vocabulary, language) == foreign


def judged(data, tmp_path, answer, replies):
    """The score of one answer whose objects a judge lists by these replies, and the number of requests."""
    pytest.importorskip("openai")
    tmp_path.mkdir(exist_ok=True)
    file = jsonl(tmp_path / "a.jsonl", [{"image_id": 339761, "answer": answer}])
    with JudgeServer(lambda _, time: reply(json.dumps(replies[min(time, len(replies) - 1)]))) as server:
        judging = Judging(JudgeOptions("m", server.url))
        choice = SuiteChoice(data.root, data.images, "object_halbench", ("extraction=judge",))
        evaluation = score_stored(choice, file, judging, tmp_path / "run")
    return next(score for score in evaluation.scores if score.item == "339761"), len(server.requests)


def test_a_judge_s_list_with_some_foreign_names_is_scored_and_they_are_counted(data, tmp_path):
    score, requests = judged(data, tmp_path, "A dog on a long bench.", [["dog", "bench", "couch"]])
    assert (score.state, requests) == ("scored", 1)
    assert (score.counts["extracted"], score.counts["not_in_answer"]) == (3, 1)
    assert score.evidence["not_in_answer"] == ["couch"]


def test_a_judge_s_list_of_other_things_is_asked_again_and_never_scored(data, tmp_path):
    score, requests = judged(data, tmp_path, "A dog on a long bench.", [["couch", "sink", "dog"], ["dog", "bench"]])
    assert (score.state, requests, score.counts["not_in_answer"]) == ("scored", 2, 0)
    score, requests = judged(data, tmp_path / "other", "A dog on a long bench.", [["couch", "sink", "dog"]])
    assert (score.state, requests, score.counts) == ("unscored", 3, {})
    assert score.error == "no object list: unparsable reply"


def test_an_empty_list_is_not_believed_of_an_answer_that_names_several_objects(data, tmp_path):
    score, requests = judged(data, tmp_path, "A dog on a long bench.", [[], ["dog", "bench"]])
    assert (score.state, requests) == ("scored", 2)
    score, requests = judged(data, tmp_path / "other", "Nothing at all is here.", [[]])
    assert (score.state, requests) == ("scored", 1)


def test_a_stored_list_is_scored_as_officially_and_its_foreign_names_are_shown(data, tmp_path):
    row = {"image_id": 339761, "answer": "A dog on a long bench.", "extract_objs": ["couch", "sink", "dog"]}
    evaluation = score("object_halbench", jsonl(tmp_path / "a.jsonl", [row]), data, "extraction=stored")
    assert values(evaluation)["all", "not_in_answer"] == pytest.approx(2 / 3)
    assert counts(evaluation)["mentions"] == 3


# The official script's numbers


@pytest.mark.parametrize("name", ["edge", "kchaosun_beam", "llava15_7b"])
@pytest.mark.parametrize("extraction", ["stored", "words"])
def test_object_halbench_equals_the_official_script_answer_by_answer(data, name, extraction):
    file = data.root / f"responses/object_halbench/{name}.answers_with_standin_extraction.jsonl"
    evaluation = score("object_halbench", file, data, f"extraction={extraction}")
    expected = [
        row["metrics"]
        for row in json.loads((data.root / "expected/object_halbench/metrics.json").read_text())
        if row["name"] == name and row["extraction"].startswith("stand-in" if extraction == "stored" else "words")
    ]
    (metrics,) = expected
    numbers = values(evaluation)
    assert numbers["all", "response_hall"] == pytest.approx(metrics["CHAIRs_refine"], abs=1e-12)
    assert numbers["all", "chair_s"] == pytest.approx(metrics["CHAIRs"], abs=1e-12)
    assert numbers["all", "object_hall"] == pytest.approx(metrics["CHAIRi"], abs=1e-12)
    assert numbers["all", "recall"] == pytest.approx(metrics["obj_rec"], abs=1e-12)
    assert numbers["all", "length"] == pytest.approx(metrics["avg_word_len"], abs=1e-12)
    assert counts(evaluation)["answers_with_object"] == metrics["coco_sentence_num"]
    assert counts(evaluation)["truth_named"] == metrics["coco_word_count"]
    assert counts(evaluation)["truth_objects"] == metrics["gt_word_count"]
    assert printed(evaluation)["all", "response_hall"] == float(f"{metrics['CHAIRs_refine'] * 100:.2f}")
    review = (
        data.root / f"expected/object_halbench/review/{name}__{'gpt' if extraction == 'stored' else 'nogpt'}.json.gz"
    )
    scores = {score.item: score for score in evaluation.scores}
    for sentence in json.loads(gzip.decompress(review.read_bytes()))["sentences"]:
        evidence = scores[str(sentence["image_id"])].evidence
        assert sorted(evidence["truth"]) == sorted(sentence["mscoco_gt_words"])
        assert [[m.word, m.category] for m in evidence["mentions"]] == sentence["mscoco_generated_words"]
        assert [m.word for m in evidence["hallucinated"]] == [word for word, _ in sentence["mscoco_hallucinated_words"]]


@pytest.mark.parametrize(
    ("reply", "names"),
    [
        ('["dog", "traffic light"]', ["dog", "traffic light"]),
        ("[]", []),
        ('Here they are:\n["dog"]\n', ["dog"]),
        ('```json\n["dog",\n "rug"]\n```', ["dog", "rug"]),
        ('Sure!\n```\n["dog"]\n```\nAnything else?', ["dog"]),
        ("dog, rug", None),
        ('["dog", 3]', None),
        ('{"dog": 1}', None),
        ('"dog"', None),
        ('["dog", "ru', None),
        ("", None),
        ("[" * 100_000, None),
    ],
)
def test_an_object_list_is_a_json_list_of_strings(reply: str, names: list[str] | None) -> None:
    from halbench.suites.object_halbench import parse_object_list

    assert parse_object_list(reply) == names
