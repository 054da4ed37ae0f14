"""Stored responses and run folders keep their meaning: matched to the right question, scored again, never lost."""

import json

import pytest
from judge_server import JudgeServer, reply
from stored import jsonl, score, values

from halbench.errors import InputError


def test_duplicates_keep_their_complaint_in_a_run_folder(data, tmp_path):
    answers = json.loads((data.root / "responses/amber/gen_precise_s1.json").read_text())
    (tmp_path / "twice.json").write_text(json.dumps([*answers, {"id": 3, "response": "A dog."}]))
    first = score("amber", tmp_path / "twice.json", data, out=tmp_path / "run")
    again = score("amber", tmp_path / "run", data)
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
    evaluation = score("amber", tmp_path / "run", data)
    assert (evaluation.coverage.items, evaluation.coverage.scored, evaluation.coverage.missing) == (1004, 10, 994)
    assert not evaluation.coverage.complete


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[" * 100_000, "not valid JSON"),
        ('{"id": 1, "response": "A", "x": NaN}', "NaN is not a JSON value"),
        ('{"id": 1, "response": "A", "x": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"id": 1, "answer": "No", "text": "Yes"}', "the row has both 'answer' and 'text'"),
    ],
    ids=["nested deeply", "NaN", "a huge number", "two candidates for the response"],
)
def test_strange_rows_get_one_line(data, tmp_path, content, complaint):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(InputError, match=complaint):
        score("amber", tmp_path / "a.jsonl", data)


def test_a_lone_surrogate_next_to_the_response_can_be_stored(data, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1, "response": "A sky.", "note": "\\ud83d"}\n')
    score("amber", tmp_path / "a.jsonl", data, out=tmp_path / "run")
    assert json.loads((tmp_path / "run/responses.jsonl").read_text())["extra"]["note"] == "\ud83d"


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/run"])
def test_a_folder_that_cannot_be_written_gets_one_line(data, tmp_path, out):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot be written|is not empty"):
        score("amber", data.root / "responses/amber/gen_edge.json", data, out=tmp_path / out)


def test_a_foreign_folder_is_left_as_it_is(data, tmp_path):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/thesis.txt").write_text("x")
    with pytest.raises(InputError, match=r"is not empty and has no manifest\.json"):
        score("amber", data.root / "responses/amber/gen_edge.json", data, out=tmp_path / "foreign")
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["thesis.txt"]


@pytest.fixture
def server():
    with JudgeServer(lambda prompt, time: reply("It is fine.\nRating: 4")) as running:
        yield running


def test_judgements_serve_the_responses_they_were_made_of_and_no_others(halbench, data, server, tmp_path):
    llava = data.root / "responses/mmhal/llava_7b.json"
    made = halbench(
        "score",
        "--suite",
        "mmhal",
        "--responses",
        llava,
        "--judge",
        "m",
        "--judge-base-url",
        server.url,
        "--out",
        "run",
    )
    assert made.returncode == 0, made.stderr
    replies = tmp_path / "run/judgements.jsonl"
    assert values(score("mmhal", llava, data, judgements=replies))["all", "score"] == 4.0
    with pytest.raises(InputError, match=r"about other responses"):
        score("mmhal", data.root / "responses/mmhal/blip2_2.7b.json", data, judgements=replies)
    again = score("mmhal", tmp_path / "run", data)  # a judged run folder brings its own
    assert values(again)["all", "score"] == 4.0
    assert again.signature == json.loads((tmp_path / "run/manifest.json").read_text())["signature"]


@pytest.mark.slow
def test_the_judge_s_settings_are_in_the_signature(halbench, data, server, tmp_path):
    answers = data.root / "responses/mmhal/llava_7b.json"
    command = ("score", "--suite", "mmhal", "--responses", answers, "--judge", "m", "--judge-base-url", server.url)
    for out, more in (("a", ()), ("b", ("--judge-kwargs", "top_p=0.2"))):
        result = halbench(*command, "--out", out, *more)
        assert result.returncode == 0, result.stderr
    compared = halbench("compare", "a", "b")
    assert compared.returncode == 2
    assert "judge_settings" in compared.stderr
    refused = halbench(*command, "--judge-kwargs", "model=other")
    assert "--judge-kwargs (extra= in Python) model: is set by halbench" in refused.stderr
