"""Which judge is asked and how, or which stored replies are read instead."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.settings import option, parse_arguments

FIXED = ("model", "messages", "stream", "n")
"""Fields of a request that halbench sets."""


@dataclass(frozen=True)
class JudgeOptions:
    """Which judge is asked, and how.

    base_url: None means OPENAI_BASE_URL (which belongs to OPENAI_API_KEY), else OpenAI. attempts: replies requested
    until a verdict can be read from one. retries: of one request by the client library. timeout_s: of one request.
    extra: further fields of the request; null omits a field that halbench would send, for models that take no temperature
    or no max_tokens.
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


@dataclass(frozen=True)
class Judging:
    """Where verdicts come from: a judge, or stored replies; neither by default.

    prompt: file with the judge's prompt; None for the suite's own.
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


NO_JUDGING = Judging()


def judge_options(given: Mapping[str, Any]) -> JudgeOptions | None:
    """The judge that a user describes (fields of JudgeOptions); None if no model is named."""
    if "model" not in given:
        if name := next((name for name in ("base_url", "extra") if given.get(name)), None):
            raise InputError(
                f"{'--judge-base-url' if name == 'base_url' else '--judge-kwargs'} is given without --judge MODEL"
            )
        return None
    if name := next((name for name in FIXED if name in given.get("extra", {})), None):
        raise InputError(f"--judge-kwargs (extra= in Python) {name}: is set by halbench and cannot be changed")
    return JudgeOptions(**given)
