"""Verdicts on responses: requested, read from a file, or kept in a run folder; and options that contradict each other."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from judge_server import JudgeServer, reply

from halbench.errors import InputError
from halbench.files.records import content_hash, write_json, write_jsonl
from halbench.folders.run import RunFolder
from halbench.judging.judgements import (
    NO_JUDGEMENTS,
    check_judging,
    describe_requests,
    find_judgements,
    judge_prompts,
    stored_judgements,
)
from halbench.judging.options import JudgeOptions, Judging, judge_options
from halbench.judging.templates import fill, read_template
from halbench.suites.object_halbench import Options
from halbench.types import Item, Judgement, JudgeQuestion, Response, Score, Task


def values(item: Item, response: Response) -> Mapping[str, str] | None:
    return None if response.text == "No" else {"question": item.prompt, "answer": response.text}


def score(item: Item, response: Response, judgement: Judgement | None) -> Score:
    return Score.of(item, {})


ITEMS = [Item(id, (), f"{id}?", None, "all") for id in "abc"]
TASK = Task(ITEMS, score, {}, judge=JudgeQuestion("object_extraction", "user", values, lambda reply, _: bool(reply)))
RESPONSES = [Response("a", "A dog."), Response("b", "No"), Response("c", "", state="error", error="out of ink")]
TEMPLATE = read_template(None, "object_extraction")
PROMPT = fill(TEMPLATE, {"question": "a?", "answer": "A dog."})


def completion(text: Any, **message: Any) -> dict[str, Any]:
    return {"model": "gpt", "choices": [{"message": {"content": text, **message}}]}


def test_only_answers_that_need_a_judge_have_a_prompt() -> None:
    assert judge_prompts(TASK, RESPONSES, TEMPLATE) == {"a": PROMPT}


def test_stored_completions_go_by_the_order_of_the_responses(tmp_path: Path) -> None:
    write_json(tmp_path / "replies.json", [completion("[]"), completion(None), completion("[]", refusal="No.")])
    verdicts = stored_judgements(tmp_path / "replies.json", TASK, RESPONSES, None)
    states = {item: (row.state, row.reply) for item, row in verdicts.judgements.items()}
    assert states == {"a": ("ok", "[]"), "b": ("error", ""), "c": ("refused", "No.")}
    assert verdicts.fields == {
        "judge": "gpt",
        "judge_served": "gpt",
        "judge_prompt": "stored",
        "judge_settings": "stored",
        "judge_match": "order",
    }


@pytest.mark.parametrize(
    ("responses", "problem"),
    [
        ([RESPONSES[1], RESPONSES[0]], r"not in the suite's order \('a' comes too late\)"),
        (
            [Response("a", "", state="empty"), Response("b", " ", state="empty"), RESPONSES[2]],
            "2 of 3 responses are empty",
        ),
    ],
)
def test_a_list_that_cannot_be_about_these_responses_is_refused(tmp_path: Path, responses: Any, problem: str) -> None:
    write_json(tmp_path / "replies.json", [completion("[]")] * len(responses))
    with pytest.raises(InputError, match=problem):
        stored_judgements(tmp_path / "replies.json", TASK, responses, None)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ([completion("[]")], r"expected a list of 3 chat completions, one per response in the same order; found 1$"),
        ({}, "found dict"),
        ([completion("[]"), {}, {}], r"completion 2: expected a chat completion with choices\[0\]\.message\.content"),
        ([{**completion("[]"), "model": 3}] * 3, "completion 1: expected a chat completion"),
    ],
)
def test_a_file_of_other_completions_is_refused(tmp_path: Path, content: Any, line: str) -> None:
    write_json(tmp_path / "replies.json", content)
    with pytest.raises(InputError, match=line):
        stored_judgements(tmp_path / "replies.json", TASK, RESPONSES, None)


def judgement(item: str, prompt: str, reply: str = "[]") -> Judgement:
    return Judgement(item, "key", "gpt", "gpt-1", reply, prompt_hash=content_hash(prompt))


def test_the_last_reply_of_a_run_is_the_verdict_and_its_prompt_is_in_the_signature(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "replies.jsonl", [judgement("a", PROMPT, "hm"), judgement("a", PROMPT, "[]")])
    verdicts = stored_judgements(tmp_path / "replies.jsonl", TASK, RESPONSES, None)
    assert verdicts.judgements["a"].reply == "[]"
    assert verdicts.fields["judge_prompt"] == content_hash(TEMPLATE, 8)


def test_replies_about_other_responses_or_items_are_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "replies.jsonl", [judgement("a", PROMPT + "!")])
    line = r"1 of 1 judgements \(the first is of item 'a'\) are about other responses, or were made with another prompt"
    with pytest.raises(InputError, match=line):
        stored_judgements(tmp_path / "replies.jsonl", TASK, RESPONSES, None)
    write_jsonl(tmp_path / "replies.jsonl", [judgement("z", PROMPT)])
    with pytest.raises(InputError, match="judgement of item 'z', which has no response"):
        stored_judgements(tmp_path / "replies.jsonl", TASK, RESPONSES, None)


def test_without_a_judge_the_verdicts_of_the_run_folder_count(tmp_path: Path) -> None:
    assert find_judgements(Judging(), TASK, RESPONSES, None) == NO_JUDGEMENTS
    kept = RunFolder(tmp_path / "run")
    settings = {"suite": {"name": "own", "version": "1", "options": {}}, "items": "1", "decoding": None, "model": {}}
    settings["limit"] = None
    kept.begin(settings)
    write_jsonl(kept.judgements_path, [judgement("a", PROMPT)])
    assert find_judgements(Judging(), TASK, RESPONSES, None, kept) == NO_JUDGEMENTS, "never judged"
    fields = {"judge": "gpt", "suite": "own"}
    kept.write_manifest({"status": "complete", "settings": settings, "signature_fields": fields})
    verdicts = find_judgements(Judging(), TASK, RESPONSES, None, kept)
    assert (list(verdicts.judgements), verdicts.fields) == (["a"], {"judge": "gpt"})


def test_two_sources_of_verdicts_or_one_that_is_not_needed_are_refused() -> None:
    suite: Any = SimpleNamespace(name="own")
    with pytest.raises(InputError, match="--judgements and --judge are both given; use one of them"):
        check_judging(suite, Options(), TASK, Judging(JudgeOptions("m"), Path("a.json")))
    with pytest.raises(InputError, match=r"suite own needs no judge with its options .*; omit the judge, or see --set"):
        check_judging(suite, Options(), Task(ITEMS, score, {}), Judging(JudgeOptions("m")))


def test_a_judge_is_made_of_the_flags_that_were_given() -> None:
    assert judge_options({}) is None
    assert judge_options({"model": "m", "concurrency": 2}) == JudgeOptions("m", concurrency=2)
    with pytest.raises(InputError, match="--judge-base-url is given without --judge MODEL"):
        judge_options({"base_url": "http://a/v1"})
    with pytest.raises(InputError, match="--judge-max-usd is given without --judge MODEL"):
        judge_options({"max_usd": 1.0})
    for price in ((1.0,), (1.0, -2.0), (1.0, float("nan"))):
        with pytest.raises(InputError, match=r"--judge-price .*: expected two numbers from 0, as in 2.5,10"):
            judge_options({"model": "m", "price": price})
    with pytest.raises(InputError, match=r"--judge-kwargs .* stream: is set by halbench"):
        judge_options({"model": "m", "extra": {"stream": True}})


def test_replies_of_several_judges_are_no_file_of_replies(tmp_path: Path) -> None:
    both = [replace(judgement("a", PROMPT), judge="k1"), replace(judgement("a", PROMPT), judge="k2")]
    write_jsonl(tmp_path / "replies.jsonl", both)
    with pytest.raises(InputError, match=r"expected replies of one judge, found those of 2 \(gpt\)"):
        stored_judgements(tmp_path / "replies.jsonl", TASK, RESPONSES, None)


def test_repeated_replies_of_a_file_are_told_apart(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "replies.jsonl", [judgement("a", PROMPT, "1"), replace(judgement("a", PROMPT, "2"), repeat=2)]
    )
    verdicts = stored_judgements(tmp_path / "replies.jsonl", TASK, RESPONSES, None)
    assert verdicts.judgements["a"].reply == "1"
    assert [repeat["a"].reply for repeat in verdicts.repeats] == ["2"]
    assert verdicts.fields["judge_repeats"] == "2"


def test_of_two_judges_in_a_folder_each_asks_for_its_own_and_the_last_one_scores(tmp_path: Path) -> None:
    kept = RunFolder(tmp_path / "run")
    settings = {"suite": {"name": "own", "version": "1", "options": {}}, "items": "1", "decoding": None, "model": {}}
    settings["limit"] = None
    kept.begin(settings)
    with JudgeServer(lambda *_: reply("[]", usage=(10, 2))) as server:
        judges = [
            JudgeOptions("m", server.url),
            JudgeOptions("n", server.url),
            JudgeOptions("m", server.url, max_tokens=9),
        ]
        asked = [find_judgements(Judging(options), TASK, RESPONSES, kept) for options in judges]
        again = [find_judgements(Judging(options), TASK, RESPONSES, kept) for options in judges]
    assert len(server.requests) == 3
    assert again == asked
    assert len({verdicts.record["judge_key"] for verdicts in asked}) == 3
    assert [str(verdicts.record["judge_cost"])[:40] for verdicts in asked] == [
        "1 request, 10 prompt and 2 completion to"
    ] * 3
    for verdicts in asked:
        fields = {"signature_fields": verdicts.fields, "judge_key": verdicts.record["judge_key"]}
        kept.write_manifest({"status": "complete", "settings": settings, **fields})
        assert find_judgements(Judging(), TASK, RESPONSES, None, kept).judgements == verdicts.judgements


def test_a_dry_run_counts_what_is_missing_and_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HALBENCH_JUDGE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = RunFolder(tmp_path / "run")
    options = JudgeOptions("gpt-4o", repeats=2)
    line = describe_requests(TASK, RESPONSES, options, None, folder)
    assert re.fullmatch(
        r"judge 'gpt-4o': 2 requests, about \d+ prompt and at most 2,048 completion tokens, at most about \$0\.02 "
        r"\(prices of \w+ 20\d\d\); up to 6 requests if replies cannot be read; 0 of 2 verdicts are kept",
        line,
    )
    assert not folder.path.exists()
    assert "no price known (--judge-price IN,OUT)" in describe_requests(
        TASK, RESPONSES, JudgeOptions("own"), None, folder
    )
    with pytest.raises(InputError, match="no price known for 'own'; add --judge-price"):
        check_judging(SimpleNamespace(name="own"), Options(), TASK, Judging(JudgeOptions("own", max_usd=1.0)))
    with pytest.raises(InputError, match="--judgements and --dry-run"):
        check_judging(SimpleNamespace(name="own"), Options(), TASK, Judging(None, Path("a.json"), dry_run=True))
