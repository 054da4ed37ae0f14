"""Stored responses and run folders keep their meaning: matched to the right question, scored again, never lost."""

import gzip
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from judge_server import JudgeServer, reply

from halbench.errors import InputError
from halbench.evaluation import score_stored


def jsonl(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows(path: Path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def value(evaluation, metric, group="all"):
    return {(row.group, row.metric): row.value for row in evaluation.results}[group, metric]


def pope_log(number, label, answer, image="COCO_val2014_000000310196.jpg"):
    return {
        "question_id": number,
        "image": image,
        "text": f"Is there a thing {number}?",
        "label": label,
        "response": answer,
    }


def test_joined_pope_logs_with_repeated_ids_are_scored_row_by_row(data, tmp_path):
    logs = [pope_log(n, "yes", "yes", f"{split}_{n}.jpg") for split in ("a", "b", "c") for n in range(20)]
    evaluation = score_stored("pope", [], data, jsonl(tmp_path / "joined.jsonl", logs))
    assert value(evaluation, "accuracy") == 1.0
    assert evaluation.coverage.items == evaluation.coverage.scored == 60


def test_a_pope_log_has_the_same_signature_in_any_order_and_after_out(data, tmp_path):
    logs = [pope_log(n, "yes" if n % 2 else "no", "yes") for n in range(40)]
    whole = score_stored("pope", [], data, jsonl(tmp_path / "log.jsonl", logs), out=tmp_path / "run")
    random.Random(0).shuffle(logs)
    assert score_stored("pope", [], data, jsonl(tmp_path / "shuffled.jsonl", logs)).signature == whole.signature
    assert score_stored("pope", [], data, tmp_path / "run").results == whole.results


def test_a_question_labelled_in_two_ways_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="labelled yes in one row and no in another"):
        score_stored(
            "pope", [], data, jsonl(tmp_path / "log.jsonl", [pope_log(1, "yes", "yes"), pope_log(1, "no", "yes")])
        )


def test_duplicates_keep_their_complaint_in_a_run_folder(data, tmp_path):
    answers = json.loads((data.root / "responses/amber/gen_precise_s1.json").read_text())
    (tmp_path / "twice.json").write_text(json.dumps([*answers, {"id": 3, "response": "A dog."}]))
    first = score_stored("amber", [], data, tmp_path / "twice.json", out=tmp_path / "run")
    again = score_stored("amber", [], data, tmp_path / "run")
    assert first.coverage.duplicates == again.coverage.duplicates == ("3",)
    assert again.results == first.results


def test_the_answers_that_an_interrupted_run_lacks_stay_missing_when_it_is_scored(data, tmp_path, halbench):
    answers = [{"id": n, "response": "A sky."} for n in range(1, 1005)]
    jsonl(tmp_path / "answers.jsonl", answers)
    made = halbench(
        "run",
        "--backend",
        "replay",
        "--model",
        "answers.jsonl",
        "--suite",
        "amber",
        "--set",
        "part=generative",
        "--out",
        "run",
    )
    assert made.returncode == 0, made.stderr
    kept = (tmp_path / "run/responses.jsonl").read_text().splitlines(keepends=True)[:10]
    (tmp_path / "run/responses.jsonl").write_text("".join(kept) + '{"item": "11", "te')
    evaluation = score_stored("amber", [], data, tmp_path / "run")
    assert (evaluation.coverage.items, evaluation.coverage.scored, evaluation.coverage.missing) == (1004, 10, 994)
    assert not evaluation.coverage.complete


def test_the_amber_score_is_not_made_from_a_part(data, tmp_path):
    whole = json.loads((data.root / "responses/amber/all_model_c.json").read_text())
    types = {row["id"]: row["type"] for row in json.loads(data.file("amber/annotations.json").read_text())}
    part = [row for row in whole if types[row["id"]] in ("generative", "discriminative-hallucination")]
    (tmp_path / "part.json").write_text(json.dumps(part))
    evaluation = score_stored("amber", [], data, tmp_path / "part.json")
    assert {row.group for row in evaluation.results} == {"generative", "existence"}


def test_mmhal_rows_in_another_order_are_not_taken_by_their_place(data, tmp_path):
    template = json.loads((data.root / "responses/mmhal/llava_7b.json").read_text())
    shuffled = [{"question": row["question"], "model_answer": row["model_answer"]} for row in reversed(template)]
    (tmp_path / "shuffled.json").write_text(json.dumps(shuffled))
    with pytest.raises(InputError, match=r"shuffled.json: entry 1: this row answers"):
        score_stored("mmhal", [], data, tmp_path / "shuffled.json")
    (tmp_path / "ordered.json").write_text(json.dumps([{"model_answer": row["model_answer"]} for row in template]))
    assert score_stored("mmhal", [], data, tmp_path / "ordered.json").coverage.items == 96


def test_an_object_list_longer_than_its_answer_is_counted_whole(data, tmp_path):
    names = ["cat", "dog", "car", "bus", "cow", "bird", "train", "truck", "boat", "bench", "horse", "sheep"]
    row = {"image_id": 339761, "answer": "a b c d", "extract_objs": names}
    evaluation = score_stored("object_halbench", ["extraction=stored"], data, jsonl(tmp_path / "a.jsonl", [row]))
    (score,) = [score for score in evaluation.scores if score.state == "scored"]
    assert score.counts["mentions"] == len(names)


def test_a_failed_extraction_stays_in_the_coverage_and_out_of_the_score(data, tmp_path):
    failed = {"image_id": 339761, "answer": "A dog on a long bench.", "extract_objs": "-1\n<no_response>"}
    good = {"image_id": 431256, "answer": "A person on a long bench.", "extract_objs": ["person"]}
    evaluation = score_stored(
        "object_halbench", ["extraction=stored"], data, jsonl(tmp_path / "a.jsonl", [failed, good])
    )
    assert (evaluation.coverage.scored, evaluation.coverage.unscored) == (1, 1)
    assert evaluation.coverage.reasons == ("no object list: the row holds no list of names in extract_objs",)


def judged(halbench, server, data, name, *more):
    answers = data.root / f"responses/mmhal/{name}.json"
    return halbench(
        "score", "--suite", "mmhal", "--responses", answers, "--judge", "m", "--judge-base-url", server.url, *more
    )


@pytest.fixture
def server():
    with JudgeServer(lambda prompt, time: reply("It is fine.\nRating: 4")) as running:
        yield running


@pytest.mark.slow
def test_the_judge_s_settings_are_in_the_signature(halbench, data, server, tmp_path):
    for out, more in (("a", ()), ("b", ("--judge-kwargs", "top_p=0.2"))):
        found = judged(halbench, server, data, "llava_7b", "--out", out, *more)
        assert found.returncode == 0, found.stderr
    compared = halbench("compare", "a", "b")
    assert compared.returncode == 2
    assert "judge_settings" in compared.stderr
    refused = judged(halbench, server, data, "llava_7b", "--judge-kwargs", "model=other")
    assert "--judge-kwargs model: is set by halbench" in refused.stderr


def test_judgements_serve_the_responses_they_were_made_of_and_no_others(halbench, data, server, tmp_path):
    assert judged(halbench, server, data, "llava_7b", "--out", "run").returncode == 0
    replies = tmp_path / "run/judgements.jsonl"
    again = score_stored("mmhal", [], data, data.root / "responses/mmhal/llava_7b.json", replies)
    assert value(again, "score") == 4.0
    with pytest.raises(InputError, match=r"judgements .* are of other responses"):
        score_stored("mmhal", [], data, data.root / "responses/mmhal/blip2_2.7b.json", replies)
    rescored = score_stored("mmhal", [], data, tmp_path / "run")  # a judged run folder brings its own
    assert value(rescored, "score") == 4.0
    assert rescored.signature == json.loads((tmp_path / "run/manifest.json").read_text())["signature"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[" * 100_000, "not valid JSON"),
        ('{"id": 1, "response": "A", "x": NaN}', "NaN is no JSON value"),
        ('{"id": 1, "response": "A", "x": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"id": 1, "answer": "No", "text": "Yes"}', "both 'answer' and 'text' are there"),
    ],
    ids=["nested deeply", "NaN", "a huge number", "two candidates for the response"],
)
def test_strange_rows_get_one_line(data, tmp_path, content, complaint):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(InputError, match=complaint):
        score_stored("amber", [], data, tmp_path / "a.jsonl")


def test_half_a_character_beside_the_response_can_be_kept(data, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1, "response": "A sky.", "note": "\\ud83d"}\n')
    score_stored("amber", [], data, tmp_path / "a.jsonl", out=tmp_path / "run")
    assert rows(tmp_path / "run/responses.jsonl")[0]["extra"]["note"] == "\ud83d"


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/run"])
def test_a_folder_that_cannot_be_written_gets_one_line(data, tmp_path, out):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot be written|is not empty"):
        score_stored("amber", [], data, data.root / "responses/amber/gen_edge.json", out=tmp_path / out)


def test_a_foreign_folder_is_left_as_it_is(data, tmp_path):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/thesis.txt").write_text("x")
    with pytest.raises(InputError, match=r"is not empty and holds no manifest\.json"):
        score_stored("amber", [], data, data.root / "responses/amber/gen_edge.json", out=tmp_path / "foreign")
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["thesis.txt"]


def test_a_damaged_data_file_is_named(data, tmp_path):
    from halbench.datasets import Data

    for suite in ("amber", "chair"):
        shutil.copytree(data.root / suite, tmp_path / suite)
    (tmp_path / "amber/annotations.json").write_text("[]")
    damaged = bytearray(gzip.compress(b"x" * 1000))
    damaged[20] ^= 255
    (tmp_path / "chair/coco2014_objects_wordnet.json.gz").write_bytes(damaged)
    for suite, file in (("amber", "amber/gen_edge.json"), ("chair", "chair/minigpt4_ours.jsonl")):
        with pytest.raises(
            InputError, match=r"annotations.json is not as|coco2014_objects_wordnet.json.gz: not a gzipped"
        ):
            score_stored(suite, [], Data(tmp_path), data.root / "responses" / file)


def test_an_empty_image_list_is_refused(data, tmp_path):
    (tmp_path / "images.txt").write_text("\n")
    with pytest.raises(InputError, match="the list is empty"):
        score_stored(
            "chair", [f"images={tmp_path / 'images.txt'}"], data, data.root / "responses/chair/minigpt4_ours.jsonl"
        )


def test_a_reader_that_has_seen_enough_is_no_regression(data, tmp_path):
    command = [sys.executable, "-m", "halbench", "score", "--suite", "chair", "--json", "--responses"]
    command += [str(data.root / "responses/chair/minigpt4_ours.jsonl")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr.read() == ""
