"""Responses without their thoughts: the one place where every response passes, generated or read from a file."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from halbench.reasoning import Reasoning, joined, split
from halbench.responses.failure_text import is_blank
from halbench.types import Response

THOUGHTS = "reasoning"
"""The field of Response.extra that holds them."""
FIELDS = (THOUGHTS, "reasoning_content", "thinking")
"""What servers and harnesses call them."""
UNFINISHED = "no answer: still reasoning when it ended"


def without_thoughts(response: Response, reasoning: Reasoning) -> Response:
    """The response with its answer as text and its thoughts in `extra`; of state "unfinished", without text, if the thoughts
    do not end, or if a server returned thoughts and no answer before the token limit."""
    if response.state in ("error", "unfinished"):
        return response
    said = stated_thoughts(response.extra)
    parts = split(response.text, reasoning.tags()) if reasoning.reasoning == "split" else None
    if parts is None:
        if not said:
            return response
        unfinished = is_blank(response.text) and response.finish == "length"
        return with_thoughts(response, said, "unfinished" if unfinished else response.state, response.text)
    state = "unfinished" if not parts.finished else "empty" if is_blank(parts.answer) else "ok"
    return with_thoughts(response, joined([said, parts.thoughts]), state, parts.answer)


def stated_thoughts(extra: Mapping[str, Any]) -> str:
    """The thoughts in a field of their own; "" if there are none."""
    return next((value for name in FIELDS if isinstance(value := extra.get(name), str) and value.strip()), "")


def with_thoughts(response: Response, thoughts: str, state: Any, text: str) -> Response:
    others = {name: value for name, value in response.extra.items() if name not in FIELDS}
    error = UNFINISHED if state == "unfinished" else response.error
    return replace(response, text=text, state=state, error=error, extra={**others, THOUGHTS: thoughts})
