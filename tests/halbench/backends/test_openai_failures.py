"""The openai backend against a real HTTP server that fails by a script: retries, error rows, and when the run stops."""

import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

pytest.importorskip("openai")
pytest.importorskip("PIL")

from chat_backends import CUT_OFF, GREEDY, KEY, ask, backend, echo, free_port, kept, questions
from judge_server import NEVER, Answer, JudgeServer, failure, reply

from halbench.backends.openai import open_backend, pause
from halbench.errors import InputError
from halbench.running.generation import generate
from halbench.types import BackendOptions


@pytest.fixture
def items(tmp_path):
    return questions(tmp_path)


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
    calls = []

    def recorded(attempt, retry_after, jitter):
        calls.append((attempt, retry_after))
        return 0.0

    with JudgeServer(lambda _, time: failure(429, "wait", Retry_After="7") if time == 0 else reply("A dog.")) as server:
        ask(server, items[:1], pause=recorded)
    assert calls == [(1, 7.0)]


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


def test_a_timeout_is_retried_once_and_then_given_up(items):
    with JudgeServer(lambda prompt, time: NEVER if "5" in prompt else echo(prompt, time)) as server:
        rows = ask(server, items, timeout=2, retries=8)
    assert rows[5].error == "no answer within 2 s"
    assert [row.state for row in rows].count("ok") == 11
    assert server.prompts().count("question 5") == 2


def test_an_image_that_cannot_be_sent_is_an_error_row_and_no_request(items, tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    bad = [replace(items[0], images=(tmp_path / "gone.jpg",)), replace(items[1], images=(tmp_path / "text.jpg",))]
    with JudgeServer(echo) as server:
        rows = ask(server, [*bad, items[2]])
    assert [row.state for row in rows] == ["error", "error", "ok"]
    assert rows[0].error == f"image not found: {tmp_path / 'gone.jpg'}"
    assert "expected JPEG, PNG" in rows[1].error
    assert server.prompts() == ["question 2"]


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        pytest.param(failure(404, "no model m"), r"'m' .* was not found \(404: no model m\). This server offers: a, b", id="404"),
        pytest.param(failure(400, "pinned to 'a'; requested 'm'"), r"'m' .* is not served \(400: pinned", id="pinned"),
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
            generate(items, backend(server.url, concurrency=1), GREEDY, folder)
        assert [row.state for row in kept(folder)] == ["ok"] * 4
        assert len(server.requests) == 5
        assert server.authorizations == [f"Bearer {KEY}"] * 5
        good = 99
        rows = generate(items, backend(server.url, concurrency=1), GREEDY, folder)
    assert [row.text for row in rows] == [f"about {item.prompt}" for item in items]
    assert len(kept(folder)) == 12
    assert KEY not in folder.responses_path.read_text()


def test_an_unreachable_server_is_a_one_line_error_before_any_item(items, folder):
    url = f"http://me:password@127.0.0.1:{free_port()}/v1"
    with pytest.raises(
        InputError, match=r"no server answers at this address .*; start it, or correct --base-url"
    ) as raised:
        generate(items, backend(url), GREEDY, folder)
    assert "password" not in str(raised.value)
    assert kept(folder) == []


def test_openai_itself_is_not_called_without_a_key(items):
    with pytest.raises(InputError, match=r"needs a key: set OPENAI_API_KEY, or choose another server with --base-url"):
        next(open_backend("gpt-4o", BackendOptions()).generate(items, GREEDY))


def test_a_server_that_dies_midway_stops_the_run_and_the_next_one_goes_on(items, folder):
    def script(prompt, time):
        if prompt == "question 6":
            server.http.server_close()  # nobody listens any more; this connection breaks off
            return CUT_OFF
        return Answer(echo(prompt, time).body, headers={"Connection": "close"})

    with JudgeServer(script) as server, pytest.raises(InputError, match=r"is not answering \(no connection"):
        generate(items, backend(server.url, concurrency=1), GREEDY, folder)
    assert [row.item for row in kept(folder)] == ["0", "1", "2", "3", "4", "5"]
    with JudgeServer(echo) as server:
        rows = generate(items, backend(server.url), GREEDY, folder)
    assert {row.state for row in rows} == {"ok"}
    assert len(kept(folder)) == 12


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_engine_that_fails_behind_its_server_does_not_become_many_error_rows(items, folder, concurrency):
    line = r"is not answering \(500: engine dead\). Finished answers are kept"
    with JudgeServer(lambda *_: failure(500, "engine dead")) as server, pytest.raises(InputError, match=line):
        generate(items, backend(server.url, concurrency=concurrency), GREEDY, folder)
    assert len(kept(folder)) < max(3, concurrency)


def test_requests_that_are_all_rejected_alike_stop_the_run(items, folder):
    line = r"failed for 8 images in a row with the same error.* max_tokens.*--gen-kwargs"
    copies = [shutil.copy(item.images[0], item.images[0].with_stem(f"own{item.id}")) for item in items]
    apart = [replace(item, images=(copy,)) for item, copy in zip(items, copies, strict=True)]
    with (
        JudgeServer(lambda *_: failure(400, "unsupported: max_tokens")) as server,
        pytest.raises(InputError, match=line),
    ):
        generate(apart, backend(server.url, concurrency=1), GREEDY, folder)
    assert len(server.requests) == 8


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_image_that_is_always_rejected_does_not_affect_the_others(items, folder, concurrency):
    mixed = [replace(items[0], id=f"bad{n}", prompt="refuse this") for n in range(14)] + items

    def script(prompt, time):
        return failure(400, "image too large for 'the-model'") if "refuse" in prompt else echo(prompt, time)

    with JudgeServer(script, models=["the-model"]) as server:
        rows = generate(mixed, backend(server.url, concurrency=concurrency), GREEDY, folder)
    assert Counter(row.state for row in rows) == {"error": 14, "ok": 12}
