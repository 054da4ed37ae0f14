"""What a judge may cost, when it stops, what is asked again, and repeats: against a real HTTP server."""

import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from judge_server import JudgeServer, failure, reply

from halbench.errors import InputError
from halbench.folders.run import RunFolder
from halbench.judging.judge import UNREADABLE_IN_A_ROW, judge
from halbench.judging.options import JudgeOptions
from halbench.types import Judgement

pytest.importorskip("openai")


def readable(item: str, text: str) -> bool:
    return "Rating:" in text


def options(server: JudgeServer, **fields: Any) -> JudgeOptions:
    return replace(JudgeOptions("m", server.url, retries=0), **fields)


def rows(folder: RunFolder) -> list[Judgement]:
    return folder.read(Judgement, folder.judgements_path)


PROMPTS = {str(n): f"prompt {n}" for n in range(20)}


def test_eight_replies_in_a_row_without_a_verdict_stop_the_session(folder: RunFolder) -> None:
    with JudgeServer(lambda *_: reply("I cannot\nsay.\x1b[2J " + "x" * 500)) as server:
        with pytest.raises(
            InputError, match=r"8 replies in a row have no verdict, the last: 'I cannot\\nsay\."
        ) as caught:
            judge(PROMPTS, readable, options(server, concurrency=2), folder)
        assert "\x1b" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 800
        assert "--ask-again" in str(caught.value)
        assert len(server.requests) <= UNREADABLE_IN_A_ROW + 1
    assert len(rows(folder)) - UNREADABLE_IN_A_ROW in (0, 1)  # another reply may have been on its way


def test_unreadable_replies_among_others_do_not_stop_it(folder: RunFolder) -> None:
    with JudgeServer(lambda prompt, _: reply("hm" if int(prompt[-1]) % 2 else "Rating: 1")) as server:
        (verdicts,) = judge(PROMPTS, readable, options(server, concurrency=1), folder)
    assert Counter(row.state for row in verdicts.values()) == {"ok": 10, "unparsable": 10}


def test_ask_again_asks_about_unreadable_and_refused_replies_only(folder: RunFolder) -> None:
    mended = False

    def script(prompt: str, _: int) -> Any:
        if mended or prompt == "one":
            return reply("Rating: 2")
        return reply("hm") if prompt == "two" else failure(400, "no", "content_filter")

    prompts = {"1": "one", "2": "two", "3": "three"}
    with JudgeServer(script) as server:
        (verdicts,) = judge(prompts, readable, options(server), folder)
        assert [row.state for row in verdicts.values()] == ["ok", "unparsable", "refused"]
        mended, before = True, len(server.requests)
        assert judge(prompts, readable, options(server), folder) == [verdicts]
        assert len(server.requests) == before
        (verdicts,) = judge(prompts, readable, options(server, ask_again=True), folder)
        assert sorted(server.prompts()[before:]) == ["three", "two"]
        # From now on these are the kept replies.
        assert judge(prompts, readable, options(server), folder) == [verdicts]
        judge(prompts, readable, options(server, ask_again=True), folder)
    assert [row.state for row in verdicts.values()] == ["ok"] * 3
    assert len(server.requests) == before + 2


def test_ask_again_holds_a_kept_reply_to_the_rule_of_today(folder: RunFolder) -> None:
    with JudgeServer(lambda *_: reply("Rating: 1 or Rating: 5")) as server:
        judge({"1": "one"}, readable, options(server), folder)
        stricter = options(server, ask_again=True, attempts=1)
        (verdicts,) = judge({"1": "one"}, lambda item, text: text.count("Rating:") == 1, stricter, folder)
    assert (verdicts["1"].state, len(server.requests)) == ("unparsable", 2)


def test_a_limit_of_requests_leaves_the_rest_to_the_next_command(
    folder: RunFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    with JudgeServer(lambda *_: reply("Rating: 1", wait_s=0.01)) as server:
        for asked in (8, 16, 20):
            (verdicts,) = judge(PROMPTS, readable, options(server, max_requests=8), folder)
            assert len(server.requests) == asked
            states = Counter(row.state for row in verdicts.values())
            assert states == Counter({"ok": asked, "error": 20 - asked})
    assert sorted(server.prompts()) == sorted(PROMPTS.values())
    assert len(rows(folder)) == 20
    said = capfd.readouterr().err
    assert "stopped at --judge-max-requests 8, with 12 of 20 verdicts still to ask for; repeat the command" in said
    assert said.count("stopped at") == 2


def test_what_was_not_asked_is_no_failure_of_the_server(folder: RunFolder) -> None:
    with JudgeServer(lambda *_: reply("hm")) as server:
        (verdicts,) = judge({"1": "one"}, readable, options(server, max_requests=1), folder)
    assert (verdicts["1"].state, verdicts["1"].error) == ("error", "not asked: --judge-max-requests 1")
    assert [row.state for row in rows(folder)] == ["unparsable"]


PRICE = (1e6, 1e6)  # a dollar a token


def test_dollars_are_never_exceeded_and_nearly_used_up(folder: RunFolder, capfd: pytest.CaptureFixture[str]) -> None:
    """Each request costs 10 dollars and could cost 9 + 16 + 30, so that the last ones must wait for those in flight."""
    with JudgeServer(lambda *_: reply("Rating: 1", usage=(4, 6), wait_s=0.01)) as server:
        limits = options(server, max_usd=150, price=PRICE, max_tokens=30, concurrency=8)
        (verdicts,) = judge({str(n): f"prompt {n}" for n in range(10, 40)}, readable, limits, folder)
    states = Counter(row.state for row in verdicts.values())
    assert states["ok"] == len(server.requests) == 10, "an eleventh could have cost 155 in all"
    said = capfd.readouterr().err
    assert "used 10 requests, 40 prompt and 60 completion tokens, $100.00 (--judge-price)" in said
    assert "stopped at --judge-max-usd 150" in said


def test_replies_without_token_counts_are_taken_for_the_dearest_possible(folder: RunFolder) -> None:
    with JudgeServer(lambda *_: reply("Rating: 1")) as server:
        limits = options(server, max_usd=2 * (8 + 16 + 30), price=PRICE, max_tokens=30)
        judge(PROMPTS, readable, limits, folder)
        assert len(server.requests) == 2


def test_a_limit_of_dollars_needs_a_price_and_a_longest_reply(folder: RunFolder) -> None:
    with JudgeServer(lambda *_: reply("Rating: 1")) as server:
        with pytest.raises(InputError, match="no price known for 'm'; add --judge-price IN,OUT"):
            judge(PROMPTS, readable, options(server, max_usd=1), folder)
        with pytest.raises(InputError, match="--judge-max-usd needs a limit of the reply"):
            judge(PROMPTS, readable, options(server, max_usd=1, price=PRICE, extra={"max_tokens": None}), folder)
    assert server.requests == []


def test_tokens_are_kept_with_each_reply(folder: RunFolder) -> None:
    with JudgeServer(lambda *_: reply("Rating: 1", usage=(40, 6))) as server:
        judge({"1": "one"}, readable, options(server), folder)
    (row,) = rows(folder)
    assert (row.prompt_tokens, row.completion_tokens) == (40, 6)


def test_repeats_differ_in_seed_and_key_and_the_first_is_that_of_a_single_reply(folder: RunFolder) -> None:
    with JudgeServer(lambda _, time: reply(f"Rating: {time}")) as server:
        (single,) = judge({"1": "one"}, readable, options(server), folder)
        repeats = judge({"1": "one"}, readable, options(server, repeats=3, concurrency=1), folder)
        assert judge({"1": "one"}, readable, options(server, repeats=3), folder) == repeats
    assert [request.get("seed") for request in server.requests] == [None, 2, 3]
    assert [verdicts["1"].reply for verdicts in repeats] == ["Rating: 0", "Rating: 1", "Rating: 2"]
    assert [verdicts["1"].repeat for verdicts in repeats] == [1, 2, 3]
    assert repeats[0] == single
    assert len({row.key for row in rows(folder)}) == 3


def test_a_seed_of_the_user_counts_up_and_null_sends_none(folder: RunFolder) -> None:
    with JudgeServer(lambda *_: reply("Rating: 1")) as server:
        judge({"1": "one"}, readable, options(server, repeats=2, concurrency=1, extra={"seed": 7}), folder)
        judge({"2": "two"}, readable, options(server, repeats=2, extra={"seed": None}), folder)
    assert [request.get("seed") for request in server.requests] == [7, 8, None, None]
    assert len({row.key for row in rows(folder)}) == 4


@pytest.mark.slow
def test_a_kill_loses_at_most_the_requests_in_flight(folder: RunFolder) -> None:
    program = """
import sys
from pathlib import Path
from halbench.judging.judge import judge
from halbench.judging.options import JudgeOptions
from halbench.folders.run import RunFolder
options = JudgeOptions("m", sys.argv[1], concurrency=4, repeats=2)
judge({str(n): f"prompt {n}" for n in range(30)}, lambda item, text: True, options, RunFolder(Path(sys.argv[2])))
"""
    with JudgeServer(lambda *_: reply("Rating: 2", wait_s=0.02)) as server:
        command = [sys.executable, "-c", program, server.url, str(folder.path)]
        for kept in (10, 30):
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            while not folder.judgements_path.is_file() or folder.judgements_path.read_bytes().count(b"\n") < kept:
                assert process.poll() is None
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
    assert 60 <= len(server.requests) <= 60 + 2 * 4
    asked = Counter((request["messages"][0]["content"], request.get("seed")) for request in server.requests)
    assert len(asked) == 60
    assert sum(asked.values()) - 60 <= 2 * 4
    assert len({(row.item, row.repeat) for row in rows(folder)}) == 60


@pytest.mark.parametrize(("limit", "requests"), [({}, 3), ({"max_requests": 9}, 1)])
def test_with_a_limit_no_request_is_sent_again_uncounted(
    folder: RunFolder, limit: dict[str, Any], requests: int
) -> None:
    with JudgeServer(lambda *_: failure(503, "overloaded")) as server:
        with pytest.raises(InputError, match="no reply to any request"):
            judge({"1": "rate"}, readable, options(server, retries=2, **limit), folder)
        assert len(server.requests) == requests


def test_a_key_that_is_no_secret_is_not_cut_out_of_words(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with (
        JudgeServer(lambda *_: failure(401, "Incorrect key")) as server,
        pytest.raises(InputError, match="Incorrect key"),
    ):
        judge({"1": "rate"}, readable, options(server), folder)
