"""What lmms-eval calls while it runs one of our tasks, without lmms-eval itself."""

import json
import re

import pytest
from judge_server import JudgeServer, failure, reply
from lmms_answers import answers, same_numbers, stored, values
from PIL import Image
from stored import score

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.lmms_tasks import suite_task


def test_the_pictures_of_a_document_are_rgb_in_their_order_and_none_is_none(tmp_path):
    for n in range(2):
        Image.new("L", (8 + n, 8)).save(tmp_path / f"{n}.png")
    paths = [str(tmp_path / name) for name in ("1.png", "0.png")]
    assert [(image.mode, image.size) for image in suite_task.pictures({"images": paths})] == [
        ("RGB", (9, 8)),
        ("RGB", (8, 8)),
    ]
    assert suite_task.pictures({"images": []}) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "file", "id_field", "text_field"),
    [
        ("amber", "amber/llava15_7b__amber_g.json", "id", "response"),
        ("chair", "chair/minigpt4_greedy.jsonl", "image_id", "caption"),
        ("object_halbench", "object_halbench/real_responses__kchaosun_beam.jsonl", "image_id", "answer"),
    ],
)
def test_the_metrics_of_real_responses_are_those_of_halbench_score(data, capsys, suite, file, id_field, text_field):
    texts = stored(data, file, id_field, text_field)
    numbers = values(suite, texts)
    evaluation = score(suite, data.root / "responses" / file, data)
    assert evaluation.coverage.complete
    same_numbers(numbers, evaluation)
    assert capsys.readouterr().err.strip() == f"halbench: {evaluation.signature}", "once, not with every metric"


def test_options_of_the_suites_come_from_the_environment(data, monkeypatch):
    texts = stored(data, "chair/llava-1.5_greedy.jsonl", "image_id", "caption")
    monkeypatch.setenv("HALBENCH_SET", "amber.answers=lenient,chair.captions=pattern")
    numbers = values("chair", texts)
    same_numbers(
        numbers, score("chair", data.root / "responses/chair/llava-1.5_greedy.jsonl", data, "captions=pattern")
    )


@pytest.mark.parametrize("text", ["captions=pattern", "popes.split=all", "chairs.captions=pattern"])
def test_an_option_without_a_known_suite_is_one_clear_line(monkeypatch, text):
    monkeypatch.setenv("HALBENCH_SET", text)
    with pytest.raises(
        InputError, match=re.escape(f"HALBENCH_SET {text}: expected SUITE.NAME=VALUE with a suite of amber,")
    ):
        suite_task.assignments("chair")


def test_a_failed_generation_is_an_error_row_that_no_metric_averages(data, capsys):
    texts = stored(data, "amber/llava15_7b__amber_g.json", "id", "response")
    given = answers("amber", texts | {"1": "", "2": "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error."})
    hallucinating = suite_task.value(given["generative_hal"])
    kept = suite_task.evaluate("amber", tuple(answer.row for answer in given["generative_hal"]))
    assert (kept.coverage.scored, kept.coverage.errors) == (1002, 2)
    row = next(row for row in kept.results if (row.group, row.metric) == ("generative", "hal"))
    assert (row.value, row.n) == (hallucinating, 1002)
    assert "1002 of 1004 items scored (2 failed in generation)" in capsys.readouterr().err


@pytest.mark.slow
def test_the_sample_log_holds_the_row_once_and_is_read_back_by_halbench_score(data, tmp_path):
    texts = stored(data, "amber/llava15_7b__amber_g.json", "id", "response") | {"1": ""}
    log = tmp_path / "samples_halbench_amber.jsonl"
    rows = [
        {"doc_id": n, "filtered_resps": text} | suite_task.answer({"suite": "amber", "item": item}, [text])
        for n, (item, text) in enumerate(texts.items())
    ]
    log.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), "utf-8")
    assert log.stat().st_size < 2.5e6, "not the text with each of the 47 metrics"
    numbers = values("amber", texts)
    evaluation = score("amber", log, data)
    assert evaluation.coverage.errors == 1
    same_numbers(numbers, evaluation)


def mmhal_texts(data: Data) -> dict[str, str]:
    return stored(data, "mmhal/llava_7b.json", "image_id", "model_answer")


def test_without_a_judge_mmhal_has_no_score_and_never_0(data, capsys):
    numbers = values("mmhal", mmhal_texts(data))
    assert set(numbers.values()) == {"no score"}
    assert "mmhal: INCOMPLETE: 0 of 96 items scored (96 not scorable)" in capsys.readouterr().err


def test_the_judge_of_the_environment_gives_the_scores_and_its_replies_are_kept(data, monkeypatch, tmp_path):
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("HALBENCH_JUDGE", "m")
    with JudgeServer(lambda prompt, _: reply(f"Rating: {len(prompt) % 7}")) as server:
        monkeypatch.setenv("HALBENCH_JUDGE_BASE_URL", server.url)
        numbers = values("mmhal", mmhal_texts(data))
        assert len(server.requests) == 96
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("lmms-eval-")
    same_numbers(numbers, score("mmhal", folder, data))
    assert 0 < numbers["score"] < 6


def test_a_judge_that_is_down_costs_no_answers(data, monkeypatch, capsys):
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("HALBENCH_JUDGE", "m")
    with JudgeServer(lambda *_: failure(401, "wrong key")) as server:
        monkeypatch.setenv("HALBENCH_JUDGE_BASE_URL", server.url)
        assert values("mmhal", mmhal_texts(data))["score"] == "no score"
    line = capsys.readouterr().err
    assert "wrong key" in line
    assert "The answers are in lmms-eval's sample log (--log_samples), which halbench score reads" in line
