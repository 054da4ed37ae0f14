"""The openai backend against real HTTP servers: one that fails by a script, and transformers' own serving a checkpoint."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from judge_server import Answer, JudgeServer, failure, reply

pytest.importorskip("openai")
pytest.importorskip("PIL")

from PIL import Image

from halbench.backends import openai as module
from halbench.backends.openai import OpenAIBackend, Patience, open_backend, patience, pause, request_fields
from halbench.errors import InputError
from halbench.generation import generate, silence
from halbench.run_folder import RunFolder
from halbench.running import check_options, served_models
from halbench.types import BackendOptions, Decoding, Item, Response

GREEDY = Decoding(max_new_tokens=32)
KEY = "sk-very-secret-123"
CUT_OFF = Answer(b'{"choices": [{"mess', headers={"Content-Length": "500", "Connection": "close"})


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for name in (*module.KEY_VARIABLES, "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def items(tmp_path):
    """Twelve questions on three images."""
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for n, path in enumerate(paths):
        Image.new("RGB", (8, 8), (n, 0, 0)).save(path)
    return [Item(str(n), paths[n // 4], f"question {n}", None, "all") for n in range(12)]


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.begin({})
    return run


def no_pause(attempt, retry_after, jitter):
    return 0.0


def backend(url, model="m", pause=no_pause, retries=2, timeout=30.0, **options):
    """Attempts follow each other at once, unless a test is about the waits."""
    return OpenAIBackend(model, url, BackendOptions(**options), Patience(timeout, retries), pause)


def ask(server, items, decoding=GREEDY, **options):
    rows = {row.item: row for row in backend(server.url, **options).generate(items, decoding)}
    return [rows[item.id] for item in items if item.id in rows]


def echo(prompt, _):
    return reply(f" about {prompt} ", wait_s=0.002)


def kept(folder):
    return folder.read(Response, folder.responses_path)


@pytest.mark.parametrize(
    ("format", "kind"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp")]
)
def test_a_request_holds_the_image_files_own_bytes_then_the_question_and_greedy_decoding(tmp_path, format, kind):
    path = tmp_path / "misnamed.dat"
    Image.new("RGB", (8, 8), (9, 5, 1)).save(path, format)
    with JudgeServer(echo) as server:
        ask(server, [Item("1", path, "What?", None, "all")])
    assert server.requests == [
        {
            "model": "m",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image_url",
                            "image_url": {
                                "url": f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
                            },
                        },
                        {"type": "text", "text": "What?"},
                    ],
                }
            ],
            "max_tokens": 32,
            "temperature": 0.0,
        }
    ]


def test_sampling_states_top_p_and_a_seed_that_belongs_to_the_item(items):
    sampling = Decoding(32, temperature=0.7, top_p=0.9)
    with JudgeServer(echo) as server:
        ask(server, items, sampling, concurrency=1)
        forwards = {prompt: request["seed"] for prompt, request in zip(server.prompts(), server.requests, strict=True)}
        ask(server, items[::-1], sampling, concurrency=1)
        backwards = {
            prompt: request["seed"] for prompt, request in zip(server.prompts()[12:], server.requests[12:], strict=True)
        }
        ask(server, items[:1], sampling, seed=1)
    assert forwards == backwards
    assert len(set(forwards.values())) == 12
    assert server.requests[-1]["seed"] != forwards["question 0"]
    assert (server.requests[0]["temperature"], server.requests[0]["top_p"]) == (0.7, 0.9)


def test_openai_itself_is_sent_the_names_that_its_newer_models_take():
    sampling = replace(GREEDY, temperature=1.0)
    assert request_fields(sampling, "https://api.openai.com/v1") == {"max_completion_tokens": 32, "temperature": 1.0}
    assert request_fields(sampling, "http://localhost:1/v1") == {"max_tokens": 32, "temperature": 1.0, "top_p": 1.0}


def test_further_arguments_become_fields_and_null_leaves_one_out():
    extra = {"repetition_penalty": 1.0, "max_tokens": None, "max_completion_tokens": 9}
    assert request_fields(replace(GREEDY, extra=extra), "http://localhost:1/v1") == {
        "temperature": 0.0,
        "repetition_penalty": 1.0,
        "max_completion_tokens": 9,
    }
    with pytest.raises(InputError, match="--gen-kwargs stream: is set by halbench"):
        request_fields(replace(GREEDY, extra={"stream": True}), "http://localhost:1/v1")


def test_beam_search_is_refused_with_what_to_do_instead(items):
    with pytest.raises(InputError, match=r"num_beams=3: .* --gen-kwargs num_beams=1 .* another signature"):
        next(backend("http://localhost:1/v1").generate(items, Decoding(32, num_beams=3)))


def test_every_row_tells_text_tokens_finish_and_the_served_model(items):
    body = reply("  Two dogs.\n", served="m-2024-08-06", finish="length").body
    with JudgeServer(lambda *_: Answer({**body, "usage": {"completion_tokens": 3}})) as server:
        rows = ask(server, items[:1])
    assert rows == [Response("0", "Two dogs.", 3, "length", extra={"served_model": "m-2024-08-06"})]


def test_all_models_that_answered_are_told_and_a_strange_one_is_complained_of_once(items, caplog):
    with JudgeServer(lambda prompt, _: reply("A dog.", served="other" if int(prompt[9:]) % 2 else "m@main")) as server:
        rows = ask(server, items)
    assert served_models(rows) == {"served_models": ["m@main", "other"]}
    assert [record.getMessage() for record in caplog.records] == ["asked for 'm', answers come from 'other'"]


def test_as_many_requests_as_allowed_are_open_at_once(items):
    with JudgeServer(lambda prompt, _: reply("A dog.", wait_s=0.05)) as server:
        assert len(ask(server, items, concurrency=4)) == 12
    assert server.busiest == 4


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(failure(429, "slow down"), id="too many requests"),
        pytest.param(failure(500, "oops"), id="a server error"),
        pytest.param(failure(503, "loading"), id="not ready"),
        pytest.param(CUT_OFF, id="a body that breaks off"),
        pytest.param(Answer(b'{"choices": [{"mess'), id="half a JSON object"),
        pytest.param(Answer(b"<html>proxy</html>"), id="a web page"),
        pytest.param(reply("A do", finish="error"), id="an engine that broke off behind a gateway"),
    ],
)
def test_a_burst_of_faults_costs_time_and_nothing_else(items, fault):
    with JudgeServer(lambda prompt, time: fault if time < 2 else echo(prompt, time)) as server:
        rows = ask(server, items)
    assert [row.text for row in rows] == [f"about {item.prompt}" for item in items]
    assert {row.state for row in rows} == {"ok"}
    assert len(server.requests) == 3 * 12


def test_waits_grow_are_bounded_and_follow_the_server_where_it_names_one(items):
    waits = [pause(attempt, None, Random(0)) for attempt in range(1, 9)]
    assert waits[0] <= 0.5
    assert all(later > earlier for earlier, later in pairwise(waits[:7]))
    assert 60 < sum(waits) < 95
    assert 20 <= pause(1, 20.0, Random(0)) <= 22
    assert pause(1, 9999.0, Random(0)) <= 132
    asked = []

    def noted(attempt, retry_after, jitter):
        asked.append((attempt, retry_after))
        return 0.0

    with JudgeServer(lambda _, time: failure(429, "wait", Retry_After="7") if time == 0 else reply("A dog.")) as server:
        ask(server, items[:1], pause=noted)
    assert asked == [(1, 7.0)]


@pytest.mark.parametrize(
    ("fault", "error", "attempts"),
    [
        pytest.param(failure(500, "cannot see"), "500: cannot see", 3, id="a server error"),
        pytest.param(failure(400, "image too large"), "generation failed: 400: image too large", 1, id="a rejection"),
        pytest.param(CUT_OFF, "no connection", 3, id="a body that breaks off"),
        pytest.param(Answer(b"{"), "status 200 without a chat completion: {", 3, id="half a JSON object"),
    ],
)
def test_an_item_that_always_fails_becomes_an_error_row_and_the_others_are_answered(items, fault, error, attempts):
    with JudgeServer(lambda prompt, time: fault if prompt == "question 5" else echo(prompt, time)) as server:
        rows = ask(server, items)
    assert [row.state for row in rows] == ["error" if item.id == "5" else "ok" for item in items]
    assert rows[5].error.startswith(error)
    assert server.prompts().count("question 5") == attempts


@pytest.mark.parametrize("fault", [failure(500, "cannot see"), failure(400, "image too large")])
def test_faults_of_single_items_do_not_add_up_to_a_fault_of_the_server(items, fault):
    many = [replace(item, id=f"{item.id}-{n}") for n in range(2) for item in items]
    good = {"question 2", "question 5", "question 8", "question 11"}
    with JudgeServer(lambda prompt, time: echo(prompt, time) if prompt in good else fault) as server:
        rows = ask(server, many, concurrency=1, retries=0)
    assert [row.state for row in rows].count("error") == 16


def test_a_slow_answer_is_asked_for_once_more_and_then_given_up(items):
    with JudgeServer(lambda prompt, time: reply("late", wait_s=0.5) if "5" in prompt else echo(prompt, time)) as server:
        rows = ask(server, items, timeout=0.1, retries=8)
    assert rows[5].error == "no answer within 0.1 s"
    assert [row.state for row in rows].count("ok") == 11
    assert server.prompts().count("question 5") == 2


@pytest.mark.parametrize(
    ("answer", "text", "error"),
    [
        pytest.param(reply(None, refusal="I cannot."), "I cannot.", "the model declined: refusal", id="a refusal"),
        pytest.param(
            reply("A ma", finish="content_filter"), "A ma", "the model declined: content_filter", id="a filtered answer"
        ),
        pytest.param(failure(400, "filtered", "content_filter"), "", "400: filtered", id="a filtered question"),
        pytest.param(reply(""), "", "an empty answer without a count of tokens", id="nothing at all"),
    ],
)
def test_what_is_no_answer_is_an_error_row_with_its_reason(items, answer, text, error):
    with JudgeServer(lambda *_: answer) as server:
        (row,) = ask(server, items[:1])
    assert (row.state, row.text, row.error) == ("error", text, error)
    assert len(server.requests) == 1


def test_an_empty_answer_that_was_generated_is_empty(items):
    with JudgeServer(lambda *_: Answer({**reply(" ").body, "usage": {"completion_tokens": 1}})) as server:
        (row,) = ask(server, items[:1])
    assert (row.state, row.tokens) == ("empty", 1)


def test_an_image_that_cannot_be_sent_is_an_error_row_and_no_request(items, tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    bad = [replace(items[0], image=tmp_path / "gone.jpg"), replace(items[1], image=tmp_path / "text.jpg")]
    with JudgeServer(echo) as server:
        rows = ask(server, [*bad, items[2]])
    assert [row.state for row in rows] == ["error", "error", "ok"]
    assert rows[0].error == f"image not found: {tmp_path / 'gone.jpg'}"
    assert "expected JPEG, PNG" in rows[1].error
    assert server.prompts() == ["question 2"]


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        pytest.param(failure(404, "no model m"), r"'m' .* was not found \(404: no model m\). Models there: a, b", id="404"),
        pytest.param(failure(400, "pinned to 'a'; requested 'm'"), r"'m' .* cannot be asked \(400: pinned", id="pinned"),
        pytest.param(failure(401, f"bad key {KEY}"), r"refused access \(401: bad key \*\*\*\). Check OPENAI", id="401"),
        pytest.param(failure(403, "forbidden"), r"refused access \(403: forbidden\)", id="403"),
        pytest.param(failure(429, "pay", "insufficient_quota"), r"the account is empty \(429: pay\)", id="no money"),
    ],
)  # fmt: skip
def test_what_no_request_can_mend_is_one_line_at_once_and_the_next_run_goes_on(
    items, folder, monkeypatch, refusal, line
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    good = 4

    def script(prompt, time):
        return echo(prompt, time) if len(server.requests) <= good else refusal

    with JudgeServer(script, models=["a", "b"]) as server:
        with pytest.raises(InputError, match=line):
            generate(items, backend(server.url, concurrency=1), GREEDY, folder, silence)
        assert [row.state for row in kept(folder)] == ["ok"] * 4
        assert len(server.requests) == 5
        assert server.authorizations == [f"Bearer {KEY}"] * 5
        good = 99
        rows = generate(items, backend(server.url, concurrency=1), GREEDY, folder, silence)
    assert [row.text for row in rows] == [f"about {item.prompt}" for item in items]
    assert len(kept(folder)) == 12
    assert KEY not in folder.responses_path.read_text()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_server_that_is_not_there_is_one_line_before_any_item(items, folder):
    url = f"http://me:password@127.0.0.1:{free_port()}/v1"
    with pytest.raises(InputError, match=r"no server answers there .*; start it, or correct --base-url") as raised:
        generate(items, backend(url), GREEDY, folder, silence)
    assert "password" not in str(raised.value)
    assert kept(folder) == []


def test_a_finished_run_needs_no_server(items, folder):
    with JudgeServer(echo) as server:
        first = generate(items, backend(server.url), GREEDY, folder, silence)
    assert generate(items, backend(server.url), GREEDY, folder, silence) == first


def test_openai_itself_is_not_asked_without_a_key(items):
    with pytest.raises(InputError, match=r"needs a key: set OPENAI_API_KEY, or name another server with --base-url"):
        next(open_backend("gpt-4o", BackendOptions()).generate(items, GREEDY))


def test_a_server_that_dies_midway_stops_the_run_and_the_next_one_goes_on(items, folder):
    def script(prompt, time):
        if prompt == "question 6":
            server.http.server_close()  # nobody listens any more; this connection breaks off
            return CUT_OFF
        return Answer(echo(prompt, time).body, headers={"Connection": "close"})

    with JudgeServer(script) as server, pytest.raises(InputError, match=r"gives no answers \(no connection"):
        generate(items, backend(server.url, concurrency=1), GREEDY, folder, silence)
    assert [row.item for row in kept(folder)] == ["0", "1", "2", "3", "4", "5"]
    with JudgeServer(echo) as server:
        rows = generate(items, backend(server.url), GREEDY, folder, silence)
    assert {row.state for row in rows} == {"ok"}
    assert len(kept(folder)) == 12


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_engine_that_fails_behind_its_server_does_not_become_many_error_rows(items, folder, concurrency):
    line = r"gives no answers \(500: engine dead\). What came before is kept"
    with JudgeServer(lambda *_: failure(500, "engine dead")) as server, pytest.raises(InputError, match=line):
        generate(items, backend(server.url, concurrency=concurrency), GREEDY, folder, silence)
    assert len(kept(folder)) < max(3, concurrency)


def test_requests_that_are_all_rejected_alike_stop_the_run(items, folder):
    line = r"8 images in a row failed with the same message.* max_tokens.*--gen-kwargs"
    apart = [replace(item, image=shutil.copy(item.image, item.image.with_stem(f"own{item.id}"))) for item in items]
    with (
        JudgeServer(lambda *_: failure(400, "unsupported: max_tokens")) as server,
        pytest.raises(InputError, match=line),
    ):
        generate(apart, backend(server.url, concurrency=1), GREEDY, folder, silence)
    assert len(server.requests) == 8


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_image_that_is_rejected_whatever_is_asked_of_it_leaves_the_others_alone(items, folder, concurrency):
    asked = [replace(items[0], id=f"bad{n}", prompt="refuse this") for n in range(14)] + items

    def script(prompt, time):
        return failure(400, "image too large for 'the-model'") if "refuse" in prompt else echo(prompt, time)

    with JudgeServer(script, models=["the-model"]) as server:
        rows = generate(asked, backend(server.url, concurrency=concurrency), GREEDY, folder, silence)
    assert Counter(row.state for row in rows) == {"error": 14, "ok": 12}


def test_an_answer_that_was_cut_off_before_it_began_is_no_empty_answer(items, folder):
    answer = reply("", finish="length")
    answer.body["usage"] = {"completion_tokens": 64}
    with JudgeServer(lambda *_: answer) as server:
        (row,) = generate(items[:1], backend(server.url), GREEDY, folder, silence)
    assert (row.state, row.tokens) == ("error", 64)
    assert "raise --gen-kwargs max_new_tokens" in row.error


def test_stopping_half_way_leaves_no_request_behind(items):
    with JudgeServer(lambda *_: reply("A dog.", wait_s=0.02)) as server:
        answers = backend(server.url, concurrency=2).generate(items, GREEDY)
        next(answers)
        answers.close()
        asked = len(server.requests)
        time.sleep(0.1)
    assert len(server.requests) == asked < 6


def test_the_identity_is_the_requested_model_wherever_it_is_served():
    options = BackendOptions(base_url="http://me:password@gpu-7:8000/v1")
    assert open_backend("m", options).identity() == {"backend": "openai", "model": "m"}


def test_options_that_a_backend_does_not_read_are_refused():
    check_options("openai", module.OPTIONS, BackendOptions(base_url="http://a/v1", model_args={"timeout": 9}))
    with pytest.raises(InputError, match="--backend hf takes no --base-url"):
        check_options("hf", (), BackendOptions(base_url="http://a/v1"))
    with pytest.raises(InputError, match="--backend hf takes no --model-args"):
        check_options("hf", (), BackendOptions(model_args={"timeout": 9}))


@pytest.mark.parametrize("name", ["api_key", "openai_api_key", "hf_token", "token", "client_secret", "password"])
def test_secrets_are_not_taken_where_they_would_be_written_down(name):
    with pytest.raises(InputError, match=f"--model-args {name}: would be written into the manifest") as raised:
        check_options("vllm", ("model_args",), BackendOptions(model_args={"max_model_len": 9, name: KEY}))
    assert KEY not in str(raised.value)
    check_options("vllm", ("model_args",), BackendOptions(model_args={"image_token": "<image>", "max_tokens": 3}))


def test_model_args_say_how_long_to_wait():
    assert patience({"timeout": 9.5, "retries": 0}) == Patience(9.5, 0)
    with pytest.raises(InputError, match=r"--model-args timeuot: unknown .* did you mean 'timeout'"):
        patience({"timeuot": 9})
    with pytest.raises(InputError, match="--model-args retries=some: expected a number"):
        patience({"retries": "some"})


def test_halbench_run_asks_a_server_and_its_folder_holds_no_key(halbench, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    arguments = ["run", "--backend", "openai", "--model", "m", "--suite", "scenes", "--limit", "6", "--out", "run"]
    with JudgeServer(lambda prompt, _: reply("Yes" if "?" in prompt else "A red car.")) as server:
        done = halbench(*arguments, "--base-url", server.url, "--concurrency", "3")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert (manifest["status"], manifest["served_models"]) == ("complete", ["m"])
    assert manifest["settings"]["model"] == {"backend": "openai", "model": "m", "seed": "0"}
    assert len(server.requests) == 6
    assert not any(KEY in path.read_text() for path in (tmp_path / "run").iterdir())


def test_halbench_run_says_a_wrong_model_in_one_line(halbench):
    arguments = ["run", "--backend", "openai", "--model", "m", "--suite", "scenes", "--limit", "60", "--out", "run"]
    with JudgeServer(lambda *_: failure(404, "no model m.")) as server:
        done = halbench(*arguments, "--base-url", server.url, "--concurrency", "16")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"halbench: model 'm' at {server.url} was not found (404: no model m). Check the model's name and that the address "
        "ends in /v1\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llava", "idefics3", "scenes:base"])
def test_a_served_checkpoint_gives_the_same_greedy_answers_as_hf(tmp_path, family):
    """64 items on 16 images: text, tokens and finish are equal, in float32 on a CPU.

    The one difference is in `finish`: `transformers serve` calls an answer cut off that ends with its last allowed token.
    """
    pytest.importorskip("fastapi", reason="needs transformers[serving]")
    pytest.importorskip("uvicorn", reason="needs transformers[serving]")
    pytest.importorskip("torch")
    import tiny_checkpoints

    from halbench.backends import hf

    make = getattr(tiny_checkpoints, family, None)
    checkpoint = make(tmp_path / "checkpoint") if make else hf.packaged_checkpoint(family)
    questions = ("Describe this image in detail.", "Is there a dog?", "How many chairs?", "What colour is the cup?")
    asked = []
    for n in range(16):
        path = tmp_path / (f"{n}.png" if n % 2 else f"{n}.jpg")
        Image.frombytes("RGB", (40, 30), Random(n).randbytes(40 * 30 * 3)).save(path)
        asked += [Item(f"{n}/{k}", path, question, None, "all") for k, question in enumerate(questions)]
    decoding = Decoding(max_new_tokens=24)

    def told(rows):
        return {row.item: (row.text, row.tokens, row.state, row.finish if row.tokens < 24 else None) for row in rows}

    direct = told(hf.open_backend(str(checkpoint), BackendOptions(device="cpu")).generate(asked, decoding))

    port = free_port()
    (tmp_path / "home/hub").mkdir(parents=True)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(checkpoint), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, tmp_path / "log")
        options = BackendOptions(base_url=f"http://127.0.0.1:{port}/v1")
        served = told(open_backend(str(checkpoint), options).generate(asked, decoding))
        with pytest.raises(InputError, match="cannot be asked"):  # this server is pinned to its checkpoint
            next(open_backend("another", options).generate(asked, decoding))
    finally:
        process.terminate()
        process.wait(30)
    assert len({text for text, *_ in direct.values()}) > 16, "answers must depend on image and question"
    assert served == direct


def wait_for(url, process, log):
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
    raise AssertionError(f"no server after two minutes: {log.read_text()[-2000:]}")
