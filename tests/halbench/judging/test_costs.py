"""Prices of judges."""

import pytest

from halbench.judging.costs import PRICES, estimate, longest_reply, price_of, spent
from halbench.judging.options import JudgeOptions, parse_price
from halbench.types import Judgement

BODY = {"messages": [{"role": "user", "content": "x" * 4000}], "max_tokens": 500}


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("gpt-4o", PRICES["gpt-4o"]),
        ("gpt-4o-2024-08-06", PRICES["gpt-4o"]),
        ("gpt-4o-2024-05-13", PRICES["gpt-4o-2024-05-13"]),
        ("gpt-4o-mini-2024-07-18", PRICES["gpt-4o-mini"]),
        ("gpt-4-0314", PRICES["gpt-4"]),
        ("gpt-4-1106-preview", PRICES["gpt-4-1106-preview"]),
        ("gpt-4o-audio", None),
        ("Qwen/Qwen3-32B", None),
    ],
)
def test_a_dated_version_has_the_price_of_its_model(model: str, price: tuple[float, float] | None) -> None:
    assert price_of(JudgeOptions(model)) == price


def test_a_user_s_price_goes_before() -> None:
    options = JudgeOptions("gpt-4o", price=parse_price("--judge-price", "1,2"))
    assert estimate([BODY] * 1000, options) == (
        "1,000 requests, about 1,000,000 prompt and at most 500,000 completion tokens, at most about $2.00 (--judge-price)"
    )


def test_a_reply_without_a_limit_has_no_highest_price() -> None:
    body = {"messages": BODY["messages"]}
    assert estimate([body], JudgeOptions("gpt-4o")).startswith(
        "1 request, about 1,000 prompt and an unknown number of completion tokens, prices of"
    )


def test_what_was_spent_names_replies_that_were_not_counted() -> None:
    rows = [
        Judgement("1", "k", "gpt-4o", "gpt-4o", "a", prompt_tokens=1_000_000, completion_tokens=100_000),
        Judgement("2", "k", "gpt-4o", "gpt-4o", "b"),
        Judgement("3", "k", "gpt-4o", None, "", "error", "no connection"),
    ]
    assert str(spent(rows, JudgeOptions("gpt-4o"))).startswith(
        "3 requests, 1,000,000 prompt and 100,000 completion tokens (without 1 that the server did not count), $3.50"
    )
    assert spent(rows, JudgeOptions("own")).usd is None


def test_the_longest_reply_is_the_larger_of_two_limits() -> None:
    assert longest_reply(BODY | {"max_completion_tokens": 900_000}) == 900_000
    assert longest_reply({"messages": []}) is None
