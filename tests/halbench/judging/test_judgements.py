"""Verdicts on responses: requested, read from a file, or kept in a run folder; and options that contradict each other."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from halbench.errors import InputError
from halbench.files.records import content_hash, write_json, write_jsonl
from halbench.folders.run import RunFolder
from halbench.judging.judgements import (
    NO_JUDGEMENTS,
    check_judging,
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
TASK = Task(ITEMS, score, {}, judge=JudgeQuestion("object_extraction", "user", values, bool))
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
    }


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
    kept.begin({})
    write_jsonl(kept.judgements_path, [judgement("a", PROMPT)])
    assert find_judgements(Judging(), TASK, RESPONSES, None, kept) == NO_JUDGEMENTS, "never judged"
    kept.write_manifest({"signature_fields": {"judge": "gpt", "suite": "own"}})
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
    with pytest.raises(InputError, match=r"--judge-kwargs .* stream: is set by halbench"):
        judge_options({"model": "m", "extra": {"stream": True}})
