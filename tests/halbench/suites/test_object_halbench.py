"""Object HalBench: lists of objects, stored or extracted, and the official script's numbers."""

import gzip
import json

import pytest
from stored import counts, jsonl, printed, score, values


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
