"""The judge against a real HTTP server through the real client."""

import gc
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest
from judge_server import NEVER, Answer, JudgeServer, failure, reply

from halbench.errors import InputError
from halbench.files.interruption import Interrupted, interruptible
from halbench.folders.run import RunFolder
from halbench.judging import judge as module
from halbench.judging.judge import identity, served_models
from halbench.judging.options import JudgeOptions
from halbench.types import Judgement

pytest.importorskip("openai")

KEY = "sk-very-secret-123"


def readable(item: str, text: str) -> bool:
    return "Rating:" in text


def judge(*arguments: Any, **named: Any) -> dict[str, Judgement]:
    """The verdicts of a judge that is asked once."""
    (verdicts,) = module.judge(*arguments, **named)
    return verdicts


def options(server: JudgeServer, **fields: Any) -> JudgeOptions:
    """Without retries of the client, unless a test is about them: they wait."""
    return replace(JudgeOptions("m", server.url, retries=0), **fields)


def rows(folder: RunFolder) -> list[Judgement]:
    return folder.read(Judgement, folder.judgements_path)


def test_each_prompt_gets_its_reply_in_the_order_of_the_prompts(folder: RunFolder) -> None:
    prompts = {str(n): f"prompt {n}" for n in range(20)}
    with JudgeServer(lambda prompt, _: reply(f"{prompt}. Rating: 4", wait_s=0.01)) as server:
        verdicts = judge(prompts, readable, options(server), folder)
    assert list(verdicts) == list(prompts)
    assert [row.reply for row in verdicts.values()] == [f"{text}. Rating: 4" for text in prompts.values()]
    assert {row.state for row in verdicts.values()} == {"ok"}
    assert sorted(rows(folder), key=lambda row: int(row.item)) == list(verdicts.values())


def test_the_request_holds_one_message_greedy_decoding_and_no_more(folder: RunFolder) -> None:
    with JudgeServer(lambda *_: reply("Rating: 4")) as server:
        judge({"1": "grade"}, readable, options(server, max_tokens=77), folder)
        judge({"2": "list"}, readable, options(server), folder, role="system")
    first, second = server.requests
    assert first == {
        "model": "m",
        "messages": [{"role": "user", "content": "grade"}],
        "temperature": 0.0,
        "max_tokens": 77,
    }
    assert second["messages"] == [{"role": "system", "content": "list"}]


def test_extra_fields_are_sent_and_null_leaves_a_field_out(folder: RunFolder) -> None:
    extra = {"temperature": None, "max_tokens": None, "max_completion_tokens": 9}
    with JudgeServer(lambda *_: reply("Rating: 4")) as server:
        judge({"1": "grade"}, readable, options(server, extra=extra), folder)
    assert {*server.requests[0]} == {"model", "messages", "max_completion_tokens"}
    assert identity(options(server, extra=extra))["decoding"] == {"max_completion_tokens": 9}


def test_as_many_requests_as_allowed_are_open_at_once(folder: RunFolder) -> None:
    def script(*_: Any) -> Answer:
        return reply("Rating: 4", wait_s=0.01, when=lambda: server.busiest >= 4)

    with JudgeServer(script) as server:
        judge({str(n): str(n) for n in range(12)}, readable, options(server, concurrency=4), folder)
    assert server.busiest == 4


def test_a_rerun_pays_nothing_and_says_the_same(folder: RunFolder) -> None:
    prompts = {str(n): f"prompt {n}" for n in range(5)}
    with JudgeServer(lambda prompt, _: reply("nonsense" if "3" in prompt else "Rating: 1")) as server:
        first = judge(prompts, readable, options(server), folder)
    # The server is gone: a single request would fail.
    assert judge(prompts, readable, options(server), folder) == first
    assert len(server.requests) == 4 + 3


def test_a_rerun_asks_only_for_what_is_new_or_changed(folder: RunFolder) -> None:
    with JudgeServer(lambda *_: reply("Rating: 1")) as server:
        judge({"1": "one", "2": "two"}, readable, options(server), folder)
        judge({"1": "one", "2": "two, changed", "3": "three"}, readable, options(server), folder)
        assert sorted(server.prompts()[2:]) == ["three", "two, changed"]
        judge({"1": "one"}, readable, options(server, model="other"), folder)
        judge({"1": "one"}, readable, options(server, max_tokens=5), folder)
        judge({"1": "one"}, readable, options(server), folder, role="system")
        judge({"1": "one"}, readable, options(server, concurrency=1, timeout_s=9), folder)
    assert len(server.requests) == 4 + 3


def test_an_unreadable_reply_is_retried_at_a_higher_temperature(folder: RunFolder) -> None:
    with JudgeServer(lambda _, time: reply("It is fine." if time == 0 else "Rating: 5")) as server:
        verdict = judge({"1": "grade"}, readable, options(server), folder)["1"]
    assert (verdict.state, verdict.reply, verdict.attempts) == ("ok", "Rating: 5", 2)
    assert [request["temperature"] for request in server.requests] == [0.0, 0.7]
    assert [row.state for row in rows(folder)] == ["unparsable", "ok"]
    assert len({row.key for row in rows(folder)}) == 2


def test_a_judge_that_never_gives_a_verdict_is_unparsable_and_every_reply_is_kept(folder: RunFolder) -> None:
    with JudgeServer(lambda _, time: reply(f"hm {time}", finish="length")) as server:
        verdict = judge({"1": "grade"}, readable, options(server), folder)["1"]
        assert (verdict.state, verdict.reply, verdict.attempts) == ("unparsable", "hm 2", 3)
        assert verdict.error == "cut off at max_tokens"
        assert [row.reply for row in rows(folder)] == ["hm 0", "hm 1", "hm 2"]
        # More attempts continue after those already paid for.
        assert judge({"1": "grade"}, readable, options(server, attempts=5), folder)["1"].reply == "hm 4"
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(reply(None, refusal="I cannot help. Rating: 3"), "refusal", id="a refusal message"),
        pytest.param(reply("Rating: 3", finish="content_filter"), "content_filter", id="a filtered reply"),
        pytest.param(failure(400, "filtered", "content_filter"), "400: filtered", id="a filtered prompt"),
    ],
)
def test_a_refusal_is_its_own_state_and_not_retried(folder: RunFolder, answer: Answer, reason: str) -> None:
    with JudgeServer(lambda *_: answer) as server:
        for _ in range(2):
            verdict = judge({"1": "grade"}, readable, options(server), folder)["1"]
            assert (verdict.state, verdict.error) == ("refused", reason)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_retried_after_the_wait_that_it_names(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    import anyio

    waits = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    script = lambda _, time: reply("Rating: 2") if time == 2 else failure(status, "busy", Retry_After="7")  # noqa: E731
    with JudgeServer(script) as server:
        verdict = judge({"1": "grade"}, readable, options(server, retries=2), folder)["1"]
    assert (verdict.state, verdict.attempts, len(server.requests)) == ("ok", 1, 3)
    assert [seconds for seconds in waits if seconds] == [7.0, 7.0]


def test_a_failure_is_a_state_of_its_item_and_retried_by_a_rerun(folder: RunFolder) -> None:
    broken = True

    def script(prompt: str, _: int) -> Answer:
        return failure(500, "out of memory") if broken and prompt == "two" else reply("Rating: 2")

    prompts = {"1": "one", "2": "two", "3": "three"}
    with JudgeServer(script) as server:
        verdicts = judge(prompts, readable, options(server), folder)
        assert [row.state for row in verdicts.values()] == ["ok", "error", "ok"]
        assert (verdicts["2"].error, verdicts["2"].reply) == ("500: out of memory", "")
        broken = False
        verdicts = judge(prompts, readable, options(server), folder)
    assert [row.state for row in verdicts.values()] == ["ok", "ok", "ok"]
    assert len(server.requests) == 4
    assert [row.state for row in rows(folder) if row.item == "2"] == ["error", "ok"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(failure(400, "context length is 10"), "400: context length is 10", id="too long"),
        pytest.param(Answer({"detail": "bad field"}, 422), "422: bad field", id="FastAPI's words"),
        pytest.param(Answer(b'{"choices": [{"mess'), "status 200 without a chat completion", id="half a body"),
        pytest.param(Answer(b"<html>hello</html>"), "status 200 without a chat completion: <html>", id="a web page"),
        pytest.param(Answer({"error": "x"}), "status 200 without a chat completion", id="an error dressed as success"),
        pytest.param(Answer({"choices": []}), "status 200 without a chat completion", id="no choice"),
        pytest.param(
            Answer(b"[1]", headers={"Content-Length": "9", "Connection": "close"}),
            "no connection",
            id="a body cut short",
        ),
        pytest.param(NEVER, "no answer within 2 s", id="a server that hangs"),
    ],
)
def test_an_odd_answer_is_an_error_of_that_item_alone(folder: RunFolder, answer: Answer, error: str) -> None:
    with JudgeServer(lambda prompt, _: answer if prompt == "odd" else reply("Rating: 6")) as server:
        verdicts = judge(
            {"1": "fine", "2": "odd"}, readable, options(server, timeout_s=2 if answer is NEVER else 60), folder
        )
    assert verdicts["1"].state == "ok"
    assert (verdicts["2"].state, verdicts["2"].reply) == ("error", "")
    assert (verdicts["2"].error or "").startswith(error)


def test_many_prompts_that_are_too_long_do_not_stop_the_rest(folder: RunFolder) -> None:
    prompts = {str(n): f"prompt {n}" for n in range(20)} | {"short": "short"}
    with JudgeServer(lambda prompt, _: reply("Rating: 1") if prompt == "short" else failure(400, "too long")) as server:
        verdicts = judge(prompts, readable, options(server, concurrency=2), folder)
    assert [item for item, row in verdicts.items() if row.state == "ok"] == ["short"]
    assert {verdicts[str(n)].error for n in range(20)} == {"400: too long"}


def test_an_empty_reply_and_a_lone_surrogate_are_stored(folder: RunFolder) -> None:
    with JudgeServer(lambda prompt, _: reply(None if prompt == "a" else "Rating: 1 \ud83d")) as server:
        verdicts = judge({"1": "a", "2": "b"}, readable, options(server), folder)
    assert [(row.state, row.reply) for row in verdicts.values()] == [("unparsable", ""), ("ok", "Rating: 1 ?")]
    assert {row.reply for row in rows(folder)} == {"", "Rating: 1 ?"}


def test_a_server_that_is_down_is_one_clear_line(folder: RunFolder) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    with pytest.raises(InputError, match=rf"^judge 'm' at {url}: no reply to any request; .* no connection"):
        judge({"1": "a", "2": "b"}, readable, JudgeOptions("m", url, retries=0), folder)


def test_work_stops_when_the_server_falls_silent_and_the_same_call_resumes(folder: RunFolder) -> None:
    prompts = {str(n): f"prompt {n}" for n in range(40)}
    up = 10

    def script(prompt: str, _: int) -> Answer:
        return reply("Rating: 2") if len(server.requests) <= up else failure(502, "bad gateway")

    with JudgeServer(script) as server:
        with pytest.raises(InputError, match=r"4 requests in a row failed, the last with: 502: bad gateway"):
            judge(prompts, readable, options(server, concurrency=4), folder)
        assert len(server.requests) < 20
        paid, up = sum(row.state == "ok" for row in rows(folder)), 10**6
        assert paid == 10
        before = len(server.requests)
        verdicts = judge(prompts, readable, options(server, concurrency=4), folder)
    assert {row.state for row in verdicts.values()} == {"ok"}
    assert len(server.requests) - before == 30


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            failure(401, f"Incorrect API key provided: {KEY}"),
            r"refused access \(401: .*\*\*\*\)\. Check HALBENCH_JUDGE",
        ),
        (failure(403, "not for you"), r"refused access \(403: not for you\)"),
        (
            failure(404, "The model 'm' does not exist"),
            r"not found \(404: The model 'm' does not exist\)\. Check the mod",
        ),
    ],
)
def test_a_refused_key_or_model_stops_at_once_without_showing_the_key(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, answer: Answer, line: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with JudgeServer(lambda *_: answer) as server, pytest.raises(InputError, match=line) as caught:
        judge({str(n): str(n) for n in range(30)}, readable, options(server, concurrency=2), folder)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(server.requests) <= 4


def test_the_key_goes_to_the_server_and_nowhere_else(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("HALBENCH_JUDGE_API_KEY", KEY)

    def script(prompt: str, _: int) -> Answer:
        return failure(400, f"bad key {KEY}") if prompt == "b" else reply("Rating: 2")

    with JudgeServer(script) as server:
        judge({"1": "a", "2": "b"}, readable, options(server), folder)
    assert set(server.authorizations) == {f"Bearer {KEY}"}
    assert [path.name for path in folder.path.iterdir() if KEY in path.read_text()] == []
    assert "bad key ***" in folder.judgements_path.read_text()
    assert KEY not in "".join(capfd.readouterr())


def test_a_key_that_happens_to_be_a_word_leaves_replies_alone(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "Rating\n")
    with JudgeServer(lambda *_: reply("Rating: 2")) as server:
        assert judge({"1": "a"}, readable, options(server), folder)["1"].reply == "Rating: 2"
    assert server.authorizations == ["Bearer Rating"]


@pytest.mark.parametrize("key", ["sk-\u201csecret\u201d", "sk-sec\nret"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError, match=r"^OPENAI_API_KEY contains a character that cannot be part of an API key$"):
        judge({"1": "a"}, readable, JudgeOptions("gpt-4o"), folder)


def test_openai_itself_needs_a_key_before_anything_is_sent(folder: RunFolder) -> None:
    with pytest.raises(
        InputError, match=r"needs a key: set OPENAI_API_KEY, or choose another server with --judge-base"
    ):
        judge({"1": "a"}, readable, JudgeOptions("gpt-4o"), folder)


def test_the_served_models_are_recorded_and_a_stranger_is_announced(
    folder: RunFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    with JudgeServer(lambda prompt, _: reply("Rating: 2", served="m-2024-08-06" if prompt == "a" else "z")) as server:
        verdicts = judge({"1": "a", "2": "b"}, readable, options(server), folder)
    assert served_models(verdicts.values()) == ("m-2024-08-06", "z")
    output = capfd.readouterr()
    assert "requested 'm', but replies came from 'z'" in output.err
    assert "2024" not in output.err
    assert output.out == ""


def test_nothing_to_ask_needs_no_server_and_no_key(folder: RunFolder) -> None:
    assert judge({}, readable, JudgeOptions("gpt-4o"), folder) == {}


def test_a_killed_session_resumes(folder: RunFolder) -> None:
    program = """
import sys
from pathlib import Path
from halbench.judging.judge import judge
from halbench.judging.options import JudgeOptions
from halbench.folders.run import RunFolder
folder = RunFolder(Path(sys.argv[2]))
judge({str(n): f"prompt {n}" for n in range(40)}, lambda item, text: "Rating:" in text, JudgeOptions("m", sys.argv[1], 4), folder)
"""
    with JudgeServer(lambda *_: reply("Rating: 2", wait_s=0.05)) as server:
        command = [sys.executable, "-c", program, server.url, str(folder.path)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not folder.judgements_path.is_file() or folder.judgements_path.read_bytes().count(b"\n") < 12:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with folder.judgements_path.open("a") as file:
            file.write('{"item": "39", "key": "ha')  # as a kill in the middle of a row leaves it
        kept = len(rows(folder))
        before = len(server.requests)
        verdicts = judge({str(n): f"prompt {n}" for n in range(40)}, readable, options(server), folder)
    assert 12 <= kept < 40
    assert before - kept <= 4, "lost are at most the requests in flight"
    assert len(server.requests) - before == 40 - kept
    assert {row.state for row in verdicts.values()} == {"ok"}
    assert len(rows(folder)) == 40


def test_a_signal_ends_a_session_with_whole_rows_and_it_resumes(
    folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(prompt: str, number: int) -> Answer:
        if len(server.requests) == 15:
            os.kill(os.getpid(), signal.SIGTERM)
        return reply("Rating: 2", wait_s=0.02)

    prompts = {str(n): f"prompt {n}" for n in range(20)}
    with JudgeServer(answer) as server:
        with pytest.raises(Interrupted), interruptible():
            judge(prompts, readable, options(server), folder)
        gc.collect()
        assert not caplog.records, "asyncio has nothing to add"
        assert 0 < len(rows(folder)) < 20
        assert folder.judgements_path.read_bytes().endswith(b"\n")
        verdicts = judge(prompts, readable, options(server), folder)
    assert {row.state for row in verdicts.values()} == {"ok"}
    assert len(rows(folder)) == 20


def test_importing_the_judge_needs_no_client() -> None:
    code = "import sys, halbench.judging.judge; sys.exit('openai' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
