"""What a judge costs: requests, tokens, dollars; before they are spent, and after.

    estimate(bodies, options)     96 requests, about 61,000 prompt and at most 98,304 completion tokens, at most $1.14 (...)
    spent(rows, options)          96 requests, 60,412 prompt and 9,812 completion tokens, $0.25 (...)

Prices are those of `PRICES`, or the user's (--judge-price). A model without a price is counted in tokens only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from halbench.errors import InputError
from halbench.judging.options import JudgeOptions
from halbench.models.chat_server import serves
from halbench.types import Judgement

PRICES_AS_OF = "May 2026"
PRICES: Mapping[str, tuple[float, float]] = {
    "gpt-3.5-turbo": (0.5, 1.5),
    "gpt-4": (30, 60),
    "gpt-4-1106-preview": (10, 30),
    "gpt-4-turbo": (10, 30),
    "gpt-4.1": (2, 8),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4o": (2.5, 10),
    "gpt-4o-2024-05-13": (5, 15),
    "gpt-4o-mini": (0.15, 0.6),
}
"""Dollars per million prompt and completion tokens, of models that papers use as judges. A name stands for its dated
versions as well."""
UNPRICED = "no price known (--judge-price IN,OUT)"
CHARACTERS_PER_TOKEN = 4  # of English
MESSAGE_TOKENS = 16  # at most, that a server adds to a prompt of one message


def price_of(options: JudgeOptions) -> tuple[float, ...] | None:
    """Dollars per million prompt and completion tokens; None if unknown."""
    if options.price is not None or options.model in PRICES:
        return options.price or PRICES[options.model]
    return next((price for name, price in PRICES.items() if serves(name, options.model)), None)


def dollars(price: Sequence[float], prompt_tokens: float, completion_tokens: float) -> float:
    return (price[0] * prompt_tokens + price[1] * completion_tokens) / 1e6


def longest_reply(body: Mapping[str, Any]) -> int | None:
    """The limit of a reply's tokens that a request sets."""
    limits = (body.get(name) for name in ("max_tokens", "max_completion_tokens"))
    return max((limit for limit in limits if type(limit) is int), default=None)


def highest_price(body: Mapping[str, Any], price: Sequence[float]) -> float:
    """Dollars that a request cannot exceed: a token is at least one byte. Raises InputError if its reply has no limit."""
    limit = longest_reply(body)
    if limit is None:
        raise InputError("--judge-max-usd needs a limit of the reply: --judge-kwargs max_completion_tokens=N")
    return dollars(price, len(body["messages"][0]["content"].encode()) + MESSAGE_TOKENS, limit)


def estimate(bodies: Sequence[Mapping[str, Any]], options: JudgeOptions) -> str:
    """What these requests will cost, in one line."""
    prompt_tokens = sum(len(body["messages"][0]["content"]) for body in bodies) // CHARACTERS_PER_TOKEN
    limits = [longest_reply(body) for body in bodies]
    most, price = (None if None in limits else sum(limit or 0 for limit in limits)), price_of(options)
    replies = "an unknown number of" if most is None else f"at most {most:,}"
    money = UNPRICED if price is None else source(options)
    if price is not None and most is not None:
        money = f"at most about ${dollars(price, prompt_tokens, most):,.2f} ({money})"
    return f"{requests(len(bodies))}, about {prompt_tokens:,} prompt and {replies} completion tokens, {money}"


@dataclass(frozen=True)
class Spent:
    """What replies have cost. uncounted: replies for which the server counted no tokens. usd: None without a price."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    uncounted: int
    usd: float | None
    prices: str

    def __str__(self) -> str:
        money = self.prices if self.usd is None else f"${self.usd:,.2f} ({self.prices})"
        unknown = f" (without {self.uncounted:,} that the server did not count)" if self.uncounted else ""
        tokens = f"{self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens"
        return f"{requests(self.requests)}, {tokens}{unknown}, {money}"


def spent(rows: Iterable[Judgement], options: JudgeOptions) -> Spent:
    """What the requests of these rows have cost."""
    rows = list(rows)
    prompt_tokens, completion_tokens = (
        sum(getattr(row, name) or 0 for row in rows) for name in ("prompt_tokens", "completion_tokens")
    )
    uncounted = sum(row.state != "error" and None in (row.prompt_tokens, row.completion_tokens) for row in rows)
    price = price_of(options)
    usd = None if price is None else round(dollars(price, prompt_tokens, completion_tokens), 6)
    prices = UNPRICED if price is None else source(options)
    return Spent(len(rows), prompt_tokens, completion_tokens, uncounted, usd, prices)


def requests(number: int) -> str:
    return f"{number:,} request{'' if number == 1 else 's'}"


def source(options: JudgeOptions) -> str:
    """Whose prices they are."""
    return "--judge-price" if options.price is not None else f"prices of {PRICES_AS_OF}"


class Allowance:
    """What a session may still spend, by --judge-max-requests and --judge-max-usd. usd: highest price of what was requested
    so far, which is corrected when a reply says its tokens."""

    def __init__(self, options: JudgeOptions) -> None:
        self.options, self.price = options, price_of(options)
        self.requests, self.usd = 0, 0.0
        if options.max_usd is not None and self.price is None:
            raise InputError(f"--judge-max-usd: no price known for '{options.model}'; add --judge-price IN,OUT")

    def take(self, body: Mapping[str, Any]) -> str | None:
        """Count a request that is about to be sent; the limit, if it would be exceeded."""
        options = self.options
        if options.max_requests is not None and self.requests >= options.max_requests:
            return f"--judge-max-requests {options.max_requests}"
        highest = self.highest(body)
        if options.max_usd is not None and self.usd + highest > options.max_usd:
            return f"--judge-max-usd {options.max_usd:g}"
        self.requests, self.usd = self.requests + 1, self.usd + highest
        return None

    def settle(self, body: Mapping[str, Any], row: Judgement, may_cost: bool) -> None:
        """Replace the highest price of a request by its real one. may_cost: whether it may have been paid for although no
        tokens are known."""
        if self.price is None or self.options.max_usd is None:
            return
        if row.prompt_tokens is not None and row.completion_tokens is not None:
            self.usd += dollars(self.price, row.prompt_tokens, row.completion_tokens) - self.highest(body)
        elif not may_cost:
            self.usd -= self.highest(body)

    def highest(self, body: Mapping[str, Any]) -> float:
        return 0.0 if self.options.max_usd is None or self.price is None else highest_price(body, self.price)
