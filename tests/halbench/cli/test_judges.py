"""halbench judges, and the flags of judges, on the command line."""

import json

import pytest
from judge_server import JudgeServer, reply

pytest.importorskip("openai")


def test_two_judges_are_asked_within_limits_and_their_agreement_is_printed(halbench, data, tmp_path, monkeypatch):
    for name in ("HALBENCH_JUDGE_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps(json.loads((data.root / "responses/mmhal/llava_7b.json").read_text())[:12]))

    def ask(model, *more):
        return halbench("score", "--suite", "mmhal", "--responses", answers, "--judge", model, "--out", "run", *more)

    dry = ask("gpt-4o", "--judge-repeats", "2", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "judge 'gpt-4o': 24 requests, about " in dry.stdout
    with JudgeServer(lambda prompt, time: reply(f"Rating: {len(prompt) % 6 + time % 2}", usage=(500, 50))) as server:
        url = ("--judge-base-url", server.url)
        stopped = ask("gpt-4o", *url, "--judge-repeats", "2", "--judge-max-requests", "14")
        assert "stopped at --judge-max-requests 14, with 10 of 24 verdicts" in stopped.stderr
        assert "INCOMPLETE: 2 of 96 items scored" in stopped.stderr
        done = ask("gpt-4o", *url, "--judge-repeats", "2")
        assert "used 10 requests, 5,000 prompt and 500 completion tokens, $0.02 (prices of" in done.stderr
        assert "12 of 96 items scored" in ask("other", *url).stderr
        assert len(server.requests) == 24 + 12
    printed = halbench("judges", "run")
    assert printed.returncode == 0, printed.stderr
    assert "mmhal: each judge with itself" in printed.stdout
    assert "gpt-4o -> other" in printed.stdout
    found = json.loads(halbench("judges", "run", "--json").stdout)
    assert {(row["judge"], row["repeats"]) for row in found["judges"]} == {("gpt-4o", 2), ("other", 1)}


def test_a_run_s_dry_run_opens_no_model(halbench, data):
    images = ("--images", data.root / "mmhal/images")
    done = halbench("run", "--suite", "mmhal", "--model", "missing", "--judge", "own", "--dry-run", *images)
    assert done.returncode == 0, done.stderr
    assert "96 of 96 answers to generate (of 80 words, it is assumed); judge 'own': 96 requests" in done.stdout
    assert "no price known (--judge-price IN,OUT)" in done.stdout
