"""From scores to results: coverage, groups, undefined values, signatures."""

from dataclasses import replace
from pathlib import Path

import pytest

from halbench.ratios import ratio_metric
from halbench.scoring import coverage, describe_decoding, results, score_responses, signature, signature_fields
from halbench.suite_options import parse_arguments, parse_options
from halbench.suites import chair
from halbench.types import Decoding, Item, Response, Score, Suite, Task

RATE = ratio_metric("rate", "wrong", "asked", "lower")
ITEMS = [Item(str(n), Path(f"{n // 2}.jpg"), "What is it?", "cat", "all") for n in range(200)]


def right_or_wrong(item, response, judgement):
    return Score(item.id, item.image.name, item.group, {"asked": 1, "wrong": response.text != item.truth})


SUITE = Suite("toy", "1", "Toy", object, Decoding(8), (RATE,), {"all": ("all",)}, load=None, match=None)
TASK = Task(ITEMS, right_or_wrong, {})
ANSWERS = [Response(item.id, "cat" if n % 4 else "dog") for n, item in enumerate(ITEMS)]


def scored(responses):
    scores = score_responses(TASK, responses, {})
    return scores, coverage(ITEMS, scores, responses)


def test_a_whole_run_is_complete_and_its_value_carries_an_interval():
    scores, told = scored(ANSWERS)
    (row,) = results(SUITE, TASK, scores, "s")
    assert told.complete
    assert told.complaint() == ""
    assert (row.value, row.n, row.coverage) == (0.25, 200, 1.0)
    assert row.low < 0.25 < row.high


@pytest.mark.parametrize(("missing", "complete"), [(2, True), (3, False)])
def test_more_than_one_percent_without_a_score_makes_a_run_incomplete(missing, complete):
    scores, told = scored(ANSWERS[missing:])
    assert told.complete is complete
    assert told.missing == missing
    assert f"{missing} without a response" in told.complaint()
    assert len(scores) == 200


def test_a_failed_response_is_counted_and_never_scored():
    failed = [replace(response, state="error", error="image not found") for response in ANSWERS[:10]]
    scores, told = scored([*failed, *ANSWERS[10:]])
    (row,) = results(SUITE, TASK, scores, "s")
    assert (told.errors, row.n, row.coverage) == (10, 190, 0.95)
    assert row.value == sum(answer.text == "dog" for answer in ANSWERS[10:]) / 190
    assert "image not found" in told.complaint()


def test_every_row_of_a_duplicated_id_is_scored_and_the_run_is_not_complete():
    scores, told = scored([*ANSWERS, ANSWERS[7]])
    assert len(scores) == 201
    assert told.duplicates == ("7",)
    assert not told.complete
    assert "duplicate ids" in told.complaint()


def test_a_value_that_is_nought_over_nought_is_undefined():
    scores, _ = scored([replace(response, state="error") for response in ANSWERS])
    (row,) = results(SUITE, TASK, scores, "s")
    assert (row.value, row.low, row.high, row.n) == (None, None, None, 0)


def test_the_signature_tells_all_that_can_change_a_number_and_nothing_of_the_model():
    fields = signature_fields(SUITE, TASK, Decoding(8, num_beams=3, extra={"top_k": 5}), {"judge": "gpt"})
    assert signature(fields).startswith("suite:toy|version:1|items:200-")
    assert fields["decoding"] == "greedy,num_beams=3,max_new_tokens=8,top_k=5"
    fewer = signature_fields(SUITE, replace(TASK, items=ITEMS[:-1]), None, {})
    other_prompt = signature_fields(SUITE, replace(TASK, items=[replace(ITEMS[0], prompt="?"), *ITEMS[1:]]), None, {})
    assert len({fields["items"], fewer["items"], other_prompt["items"]}) == 3
    moved = [replace(item, image=Path("/elsewhere") / item.image) for item in ITEMS]
    assert signature_fields(SUITE, replace(TASK, items=moved), None, {})["items"] == fields["items"]


def test_sampling_is_told_with_its_temperature():
    assert describe_decoding(Decoding(8, temperature=0.7)) == "sampled,temperature=0.7,top_p=1.0,max_new_tokens=8"


def test_suite_options_are_checked_and_near_misses_named():
    assert parse_options(chair.Options, ["captions=pattern"]) == chair.Options(captions="pattern")
    for wrong, hint in [
        ("caption=pattern", "did you mean 'captions'"),
        ("captions=patern", "did you mean 'pattern'"),
        ("captions", "expected name=value"),
    ]:
        with pytest.raises(Exception, match=hint):
            parse_options(chair.Options, [wrong])


def test_arguments_are_plain_values():
    text = "max_new_tokens=64,early_stopping=true,reasoning_effort=low,max_tokens=null"
    assert parse_arguments("--x", text) == {
        "max_new_tokens": 64,
        "early_stopping": True,
        "reasoning_effort": "low",
        "max_tokens": None,
    }
