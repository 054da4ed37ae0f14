"""Which judge is asked and how, or which stored replies are read instead."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from math import inf
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.settings import option, parse_arguments

FIXED = ("model", "messages", "stream", "n")
"""Fields of a request that halbench sets."""


def parse_price(flag: str, text: str) -> tuple[float, ...]:
    """ "2.5,10" -> (2.5, 10.0)."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{flag} {text}: expected two numbers, as in 2.5,10") from None


@dataclass(frozen=True)
class JudgeOptions:
    """Which judge is asked, and how.

    base_url: None means OPENAI_BASE_URL (which belongs to OPENAI_API_KEY), else OpenAI. attempts: replies requested
    until a verdict can be read from one. retries: of one request by the client library. timeout_s: of one request.
    extra: further fields of the request; null omits a field that halbench would send, for models that take no temperature
    or no max_tokens. price: dollars per million prompt and completion tokens; None for that of `costs.PRICES`. max_requests
    and max_usd are limits of one command.
    """

    model: str = option(
        MISSING,
        "Judge model on any OpenAI-compatible server; its key is read from HALBENCH_JUDGE_API_KEY, else OPENAI_API_KEY.",
        "--judge",
        metavar="MODEL",
    )
    base_url: str | None = option(
        None,
        "Address of the judge's server, e.g. http://localhost:8000/v1.",
        "--judge-base-url",
        metavar="URL",
        otherwise="OPENAI_BASE_URL, else OpenAI",
    )
    concurrency: int = option(
        8, "Requests sent to the judge at the same time.", "--judge-concurrency", minimum=1, metavar="N"
    )
    attempts: int = 3
    retries: int = 4
    max_tokens: int = 1024
    timeout_s: float = 120.0
    extra: Mapping[str, Any] = option(
        MISSING,
        "Further fields of the judge's requests, e.g. max_tokens=null,max_completion_tokens=2048.",
        "--judge-kwargs",
        factory=dict,
        metavar="NAME=VALUE,...",
        parse=parse_arguments,
    )
    repeats: int = option(
        1, "Replies to each prompt; scores are their mean.", "--judge-repeats", minimum=1, metavar="K"
    )
    ask_again: bool = option(
        False, "Ask again where the kept reply is unreadable or a refusal, which otherwise stays.", "--ask-again"
    )
    max_requests: int | None = option(
        None, "Stop before request N + 1; the same command goes on.", "--judge-max-requests", minimum=1, metavar="N"
    )
    max_usd: float | None = option(
        None, "Stop before a request could exceed this price.", "--judge-max-usd", minimum=0, metavar="USD"
    )
    price: tuple[float, ...] | None = option(
        None,
        "Dollars per million prompt and completion tokens, e.g. 2.5,10.",
        "--judge-price",
        metavar="IN,OUT",
        otherwise="that of a known model",
        parse=parse_price,
    )


@dataclass(frozen=True)
class Judging:
    """Where verdicts come from: a judge, or stored replies; neither by default.

    prompt: file with the judge's prompt; None for the suite's own. dry_run: only say what a judge would be asked.
    """

    judge: JudgeOptions | None = None
    stored: Path | None = option(
        None, "File with a judge's stored replies, used instead of asking a judge.", "--judgements", metavar="FILE"
    )
    prompt: Path | None = option(
        None,
        "File with the judge's prompt, such as the authors' (see: halbench data fetch).",
        "--judge-prompt",
        metavar="FILE",
        otherwise="halbench's own",
    )
    dry_run: bool = option(
        False, "Only say how many requests and tokens a judge would get, and their price; needs no key."
    )


NO_JUDGING = Judging()


def judge_options(given: Mapping[str, Any]) -> JudgeOptions | None:
    """The judge that a user describes (fields of JudgeOptions); None if no model is named."""
    if "model" not in given:
        if field := next((field for field in fields(JudgeOptions) if given.get(field.name)), None):
            raise InputError(f"{field.metadata['flag'].names[0]} is given without --judge MODEL")
        return None
    if name := next((name for name in FIXED if name in given.get("extra", {})), None):
        raise InputError(f"--judge-kwargs (extra= in Python) {name}: is set by halbench and cannot be changed")
    if given.get("price") is not None and (
        len(given["price"]) != 2 or not all(0 <= usd < inf for usd in given["price"])
    ):
        raise InputError("--judge-price (price= in Python): expected two numbers from 0, as in 2.5,10")
    return JudgeOptions(**given)
