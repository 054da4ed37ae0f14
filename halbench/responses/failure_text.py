"""Failures that other harnesses write as if they were answers; they are never scored as answers.

lmms-eval's model classes swallow exceptions: those that run a model then return an empty text, and those that use a server
return "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error."; VLMEvalKit writes "Failed to obtain answer via API."
These sentences name no object, so they would count as free of hallucinations.
"""

import re

IN_PLACE_OF_AN_ANSWER = re.compile(
    r"\[LMMS_EVAL_(REQUEST_FAILED|BUDGET_EXCEEDED)\b.*|Failed to obtain answer via API\.?", re.DOTALL
)


def failure_in_text(text: str) -> str | None:
    """The failure that a text reports in place of an answer; None if it is an answer."""
    text = text.strip()
    return text.lstrip("[").replace("]", ":", 1).rstrip(":") if IN_PLACE_OF_AN_ANSWER.fullmatch(text) else None


def lmms_failure(text: object, tokens: int | None) -> str | None:
    """Why an output of lmms-eval is not an answer; None if it is one. tokens: the model class's count, None if it has none."""
    if not isinstance(text, str):
        return f"expected text, found {type(text).__name__}"
    # Even an empty answer ends with a token; without one nothing shows that the model generated at all.
    silent = not (text.strip() or tokens)
    return failure_in_text(text) or ("an empty answer without a count of tokens" if silent else None)
